"""A network that reads as the data comes: calls without a graph, the state carried from one to the next."""

from __future__ import annotations

import time
from typing import Any

import torch
from torch import nn

from backcast.benchmark.work.base import Work as Base
from backcast.nn.embedding import Embedding
from backcast.nn.lstm import EmbeddedLSTM

EMBEDDING = 128


class Work(Base):
    """Settings: layer (`backcast` or `torch`), batch, steps of a call, channels, hidden, and for how long to go on."""

    def __init__(self, settings: dict[str, Any]) -> None:
        super().__init__(settings)
        channels, hidden = settings["channels"], settings["hidden"]
        self.encoder = EmbeddedLSTM(Embedding(0, channels, EMBEDDING), hidden).eval()
        self.lstm = nn.LSTM(channels, hidden, batch_first=True).eval()

    def prepare(self, tiny: bool) -> int:
        self.duration = 0.0 if tiny else self.settings["duration"]
        self.x = torch.randn(self.settings["batch"], self.settings["steps"], self.settings["channels"])
        return self.x.nbytes

    @torch.no_grad()
    def run(self) -> dict[str, float]:
        """Seconds of one step of the time axis, over as many calls as fit into the duration."""
        calls, began, state = 0, time.perf_counter(), None
        carried = self.encoder.zero_state(len(self.x))
        own = self.settings["layer"] == "backcast"
        while True:
            if own:
                _, carried = self.encoder(self.x, carried)
            else:
                _, state = self.lstm(self.x, state)
            calls += 1
            elapsed = time.perf_counter() - began
            if elapsed >= self.duration:
                return {"seconds": elapsed / (calls * self.x.shape[1])}
