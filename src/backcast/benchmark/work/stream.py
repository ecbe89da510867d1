"""A network that reads as the data comes: calls without a graph, the state carried from one to the next."""

from __future__ import annotations

import time
from typing import Any

import torch
from torch import nn

from backcast.benchmark.machine import resident_bytes
from backcast.benchmark.work.base import Work as Base
from backcast.build import TrainedModel, build_network
from backcast.config import Config
from backcast.data.preprocessing import Preprocessing
from backcast.nn.embedding import Embedding
from backcast.nn.lstm import EmbeddedLSTM
from backcast.streaming import StreamSession

EMBEDDING = 128
CLASSES = tuple(range(10))


class Work(Base):
    """Settings: layer (`backcast`, `torch`, or `session`: a whole StreamSession, from raw values to probabilities),
    batch, steps of a call, channels, hidden, and how long to continue: `duration`; a session also until `total` steps of
    all rows were read."""

    def __init__(self, settings: dict[str, Any]) -> None:
        super().__init__(settings)
        channels, hidden = settings["channels"], settings["hidden"]
        self.encoder = EmbeddedLSTM(Embedding(0, channels, EMBEDDING), hidden).eval()
        self.lstm = nn.LSTM(channels, hidden, batch_first=True).eval()
        preprocessing = Preprocessing("real", channels, (0.5,) * channels, (2.0,) * channels)
        config = Config(hidden_size=hidden, embedding_size=EMBEDDING)
        network = build_network(config, preprocessing, len(CLASSES)).eval()
        self.model = TrainedModel(network, preprocessing, CLASSES, config, None, torch.device("cpu"))

    def prepare(self, tiny: bool) -> int:
        self.duration = 0.0 if tiny else self.settings["duration"]
        self.total = 0 if tiny else self.settings.get("total", 0)
        self.x = torch.randn(self.settings["batch"], self.settings["steps"], self.settings["channels"])
        return self.x.nbytes

    @torch.no_grad()
    def run(self) -> dict[str, float]:
        """Seconds per step of the time axis; for a session, also by how much memory grew after the first tenth."""
        if self.settings["layer"] == "session":
            return self._run_session()
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

    def _run_session(self) -> dict[str, float]:
        session, x, read = StreamSession(self.model, len(self.x)), self.x.numpy(), 0
        began, early, elapsed = time.perf_counter(), None, 0.0
        while not read or elapsed < self.duration or read < self.total:
            session.push(x)
            read += x.shape[0] * x.shape[1]
            if early is None and read * 10 >= self.total:
                early = resident_bytes() or 0
            elapsed = time.perf_counter() - began
        grown = float(max(0, (resident_bytes() or 0) - (early or 0)))
        return {"seconds": elapsed * len(x) / read, "grown_bytes": grown}
