"""One recurrent layer alone: a sweep without a graph, or forward and backward."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from backcast.batch import Batch
from backcast.benchmark.work.base import Work as Base
from backcast.benchmark.work.base import seconds
from backcast.benchmark.work.training import TINY_ROWS, TINY_STEPS
from backcast.nn.embedding import Embedding
from backcast.nn.lstm import EmbeddedLSTM
from backcast.sweep import sweep

EMBEDDING = 128


class Work(Base):
    """Settings: input, hidden, batch, length, and

    layer  `backcast`: an LSTM after its embedding, or without one where inputs are as wide; `torch`: nn.LSTM
    what   `sweep`: only the states at the end; `bf16`: the same under autocast in bf16; `train`: all outputs,
           and the gradients of a random projection
    pieces `torch` sweeps in calls of this many steps; None: in one call
    """

    def __init__(self, settings: dict[str, Any]) -> None:
        super().__init__(settings)
        inputs, hidden = settings["input"], settings["hidden"]
        self.own: EmbeddedLSTM | None = None
        if settings["layer"] == "torch":
            self.lstm = nn.LSTM(inputs, hidden, batch_first=True)
        else:
            self.own = EmbeddedLSTM(Embedding(0, inputs, EMBEDDING if inputs < EMBEDDING else 0), hidden)

    def prepare(self, tiny: bool) -> int:
        rows, length = (TINY_ROWS, TINY_STEPS) if tiny else (self.settings["batch"], self.settings["length"])
        self.x = torch.randn(rows, length, self.settings["input"])
        self.batch = Batch(self.x, np.full(rows, length), torch.zeros(rows), np.arange(rows))
        training = self.settings["what"] == "train"
        self.projection = torch.randn(rows, length, self.settings["hidden"]) if training else torch.empty(0)
        return self.x.nbytes + self.projection.nbytes

    def run(self) -> dict[str, float]:
        what = self.settings["what"]
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=what == "bf16"):
            return {"seconds": seconds(self._train if what == "train" else self._sweep)}

    def _train(self) -> None:
        self._outputs().backward(self.projection)
        for parameter in (self.own or self.lstm).parameters():
            parameter.grad = None

    def _outputs(self) -> Tensor:
        if self.own is None:
            return self.lstm(self.x)[0]
        return self.own(self.x, self.own.zero_state(len(self.x)))[0]

    def _sweep(self) -> None:
        if self.own is not None:
            sweep(self.own, self.batch, self.batch.lengths[:, None])
            return
        length, state = self.x.shape[1], None
        piece = self.settings["pieces"] or length
        with torch.no_grad():
            for start in range(0, length, piece):
                _, state = self.lstm(self.x[:, start : start + piece], state)
