"""From rows as the user has them to batches as the network reads them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from backcast.batch import Batch
from backcast.data.sequences import Sequences, describe_channels, describe_elements
from backcast.errors import InputError


@dataclass(frozen=True)
class Preprocessing:
    """What is done to every row before the network reads it. Saved with the model.

    symbols           the number of symbols, 0 for real vectors
    channels          numbers in an element
    mean, std         of the training rows, one a channel (real vectors); a constant channel has std 1
    permutation       the order in which the steps are read, or None
    permutation_name  what it is called
    """

    symbols: int
    channels: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    permutation: tuple[int, ...] | None = None
    permutation_name: str | None = None

    @staticmethod
    def fit(rows: Sequences, validation: Sequences | None = None) -> Preprocessing:
        """Statistics of the training rows; symbols that only `validation` holds are counted, too."""
        order = rows.permutation
        permutation = None if order is None else tuple(order.order.tolist())
        name = None if order is None else order.name
        if rows.is_symbols:
            parts = [rows] if validation is None else [rows, validation]
            symbols = max(int(part.row(i).max()) for part in parts for i in range(len(part))) + 1
            return Preprocessing(symbols, 1, (), (), permutation, name)
        count, every = int(rows.lengths.sum()), range(len(rows))
        mean = (
            sum((rows.row(i).sum(axis=0, dtype=np.float64) for i in every), np.zeros(rows.channels)) / count
        )
        # About the mean, in a second pass: the difference of two large sums would lose a small spread.
        spread = sum((np.square(rows.row(i) - mean).sum(axis=0) for i in every), np.zeros(rows.channels))
        std = np.sqrt(spread / count)
        std = np.where(std > 1e-12 * np.abs(mean), std, 1.0)
        return Preprocessing(0, rows.channels, tuple(mean.tolist()), tuple(std.tolist()), permutation, name)

    @property
    def permutation_checksum(self) -> str | None:
        """SHA-256 of the permutation, as little-endian 32-bit numbers: names one pMNIST among all."""
        if self.permutation is None:
            return None
        return hashlib.sha256(np.array(self.permutation, "<i4").tobytes()).hexdigest()

    def check(self, rows: Sequences) -> None:
        """Raises InputError where `rows` are not what the model reads."""
        if bool(self.symbols) != rows.is_symbols or (not self.symbols and self.channels != rows.channels):
            expected = "symbols" if self.symbols else describe_channels(self.channels)
            hint = " (--kind says how to read whole numbers)" if bool(self.symbols) != rows.is_symbols else ""
            raise InputError(
                f"{rows.name}: it holds {describe_elements(rows)}, but the model reads {expected}{hint}"
            )
        if self.symbols:
            for i in range(len(rows)):
                row = rows.row(i)
                if row.max() >= self.symbols:
                    step = int(row.argmax())
                    raise InputError(
                        f"{rows.name}: row {i}, step {step} is the symbol {row[step]}; "
                        f"the model knows 0 to {self.symbols - 1}"
                    )
        if self.permutation is not None:
            wrong = np.flatnonzero(rows.lengths != len(self.permutation))
            if len(wrong):
                raise InputError(
                    f"{rows.name}: row {wrong[0]} has {rows.lengths[wrong[0]]} steps, but the model reads "
                    f"{len(self.permutation)} steps in the order '{self.permutation_name}'"
                )
        if rows.permutation is not None and tuple(rows.permutation.order.tolist()) != self.permutation:
            raise InputError(
                f"{rows.name}: is to be read in the order '{rows.permutation.name}', but the model was trained on "
                f"{self.permutation_name or 'the plain order'}"
            )

    def batch(self, rows: Sequences, which: NDArray[np.int64], device: torch.device | str = "cpu") -> Batch:
        """The rows numbered `which`, padded with zeros to the longest of them.

        Real vectors become float32, standardised; symbols int64.
        """
        lengths = rows.lengths[which]
        longest = int(lengths.max())
        shape = (len(which), longest) if self.symbols else (len(which), longest, self.channels)
        x = np.zeros(shape, np.int64 if self.symbols else np.float64)
        order = slice(None) if self.permutation is None else np.array(self.permutation)
        for place, i in enumerate(which):
            x[place, : lengths[place]] = rows.row(int(i))[order]
        if not self.symbols:
            x = ((x - np.array(self.mean)) / np.array(self.std)).astype(np.float32)
            x *= (np.arange(longest) < lengths[:, None])[:, :, None]
        labels = torch.from_numpy(rows.labels[which])
        return Batch(torch.from_numpy(x).to(device), lengths, labels.to(device), which)

    def batches(self, rows: Sequences, size: int, device: torch.device | str = "cpu") -> Iterator[Batch]:
        """All rows in order, `size` at a time."""
        for start in range(0, len(rows), size):
            yield self.batch(rows, np.arange(start, min(start + size, len(rows))), device)

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "permutation_sha256": self.permutation_checksum}

    @staticmethod
    def from_json(saved: dict[str, Any]) -> Preprocessing:
        order = saved["permutation"]
        return Preprocessing(
            saved["symbols"],
            saved["channels"],
            tuple(saved["mean"]),
            tuple(saved["std"]),
            None if order is None else tuple(order),
            saved["permutation_name"],
        )
