"""A training step without backcast: torch's LSTM, a linear map of its last output, cross-entropy."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from backcast.benchmark.work.training import CLASSES, TrainingStep


class Work(TrainingStep):
    """`truncation`: steps with a graph at the end of the row; None: all of them."""

    def __init__(self, settings: dict[str, Any]) -> None:
        super().__init__(settings)
        self.lstm = nn.LSTM(settings["channels"], settings["hidden"], batch_first=True)
        self.head = nn.Linear(settings["hidden"], CLASSES)

    def parameters(self) -> Iterable[Tensor]:
        return [*self.lstm.parameters(), *self.head.parameters()]

    def loss(self) -> Tensor:
        truncation, state = self.settings["truncation"], None
        start = 0 if truncation is None else max(0, self.x.shape[1] - truncation)
        if start:
            with torch.no_grad():
                _, state = self.lstm(self.x[:, :start])
        outputs, _ = self.lstm(self.x[:, start:], state)
        return F.cross_entropy(self.head(outputs[:, -1]), self.labels)
