"""Preparing batches: from rows in a mapped file to padded, standardised tensors, no training."""

from __future__ import annotations

import tempfile

import numpy as np

from backcast.benchmark.work.base import Work as Base
from backcast.benchmark.work.base import seconds
from backcast.data.preprocessing import Preprocessing
from backcast.data.sequences import Sequences
from backcast.sweep import DISK_PIECE


class Work(Base):
    """Settings: rows, length, shortest (rows have shortest .. length steps), batch. One channel of bytes, as MNIST."""

    def prepare(self, tiny: bool) -> int:
        settings = self.settings
        count = settings["batch"] if tiny else settings["rows"]
        generator = np.random.default_rng(0)
        lengths = generator.integers(settings["shortest"], settings["length"] + 1, count)
        starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
        with tempfile.TemporaryFile() as file:  # mapped, as imported data are; the map outlives the name
            file.write(generator.integers(0, 256, int(lengths.sum()), np.uint8).data)
            file.flush()
            values = np.memmap(file, np.uint8, "r").reshape(-1, 1)
        self.rows = Sequences(
            "bytes",
            "real",
            values,
            starts,
            lengths,
            np.arange(count) % 10,
            tuple(range(10)),
            np.arange(count),
        )
        self.preprocessing = Preprocessing("real", 1, (127.5,), (74.0,))
        return values.nbytes

    def run(self) -> dict[str, float]:
        """Seconds for preparing all rows once, and how many steps they have."""
        taken = seconds(self._prepare_all)
        return {"seconds": taken, "elements": float(self.rows.lengths.sum())}

    def _prepare_all(self) -> None:
        for batch in self.preprocessing.batches(self.rows, self.settings["batch"]):
            if batch.on_disk:
                for start in range(0, int(batch.lengths.max()), DISK_PIECE):
                    batch.slice(start, start + DISK_PIECE)
