"""A training step: forward, backward, gradients to zero. No optimizer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from backcast.activations import activation_bytes
from backcast.benchmark.work.base import Work, seconds

CLASSES, TINY_ROWS, TINY_STEPS = 10, 2, 8


class TrainingStep(Work):
    """On random rows, one label each: (batch, length, channels). Settings: those, and `precision`."""

    x: Tensor
    labels: Tensor

    def __init__(self, settings: dict[str, Any]) -> None:
        super().__init__(settings)
        self.bf16 = settings.get("precision") == "bf16"

    def prepare(self, tiny: bool) -> int:
        rows, length = (TINY_ROWS, TINY_STEPS) if tiny else (self.settings["batch"], self.settings["length"])
        generator = torch.Generator().manual_seed(0)
        self.x = torch.randn(rows, length, self.settings["channels"], generator=generator)
        self.labels = torch.arange(rows) % CLASSES
        return self.x.nbytes

    def loss(self) -> Tensor:
        raise NotImplementedError

    def parameters(self) -> Iterable[Tensor]:
        raise NotImplementedError

    def forward(self) -> Tensor:
        """The loss, under autocast where the precision says so."""
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.bf16):
            return self.loss()

    def step(self) -> None:
        self.forward().backward()
        for parameter in self.parameters():
            parameter.grad = None

    def run(self) -> dict[str, float]:
        return {"seconds": seconds(self.step)}

    def kept(self) -> int | None:
        return activation_bytes(self.forward, self.parameters())
