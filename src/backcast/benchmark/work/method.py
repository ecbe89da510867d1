"""A training step of one of backcast's methods, in its last phase."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from backcast.batch import Batch
from backcast.benchmark.work.training import CLASSES, TrainingStep
from backcast.build import build_network
from backcast.config import resolve
from backcast.data.preprocessing import Preprocessing
from backcast.objectives import Draw, losses
from backcast.phases import phases
from backcast.presets import PAPER

DRAW = Draw(seed=0, epoch=0, step=50_000)
"""Half way through the 100,000 steps of scheduled sampling: every second element is the decoder's own."""


class Work(TrainingStep):
    """`config`: settings that override the paper's."""

    def __init__(self, settings: dict[str, Any]) -> None:
        super().__init__(settings)
        channels = settings["channels"]
        config = resolve([PAPER, {"hidden_size": settings["hidden"]}, settings["config"]])
        self.network = build_network(
            config, Preprocessing("real", channels, (0.0,) * channels, (1.0,) * channels), CLASSES
        )
        self.objectives = list(phases(config)[-1].objectives)

    def prepare(self, tiny: bool) -> int:
        size = super().prepare(tiny)
        rows, length = self.x.shape[:2]
        self.batch = Batch(self.x, np.full(rows, length), self.labels, np.arange(rows))
        return size

    def parameters(self) -> Iterable[Tensor]:
        return self.network.parameters()

    def loss(self) -> Tensor:
        terms = losses(self.network, self.objectives, self.batch, DRAW).values()
        return torch.stack([term.total / max(term.count, 1) for term in terms]).sum()
