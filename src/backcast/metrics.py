"""What a classifier is judged by."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Accuracy:
    """Of `count` labelled rows `correct` were right; `loss` is their mean cross-entropy."""

    correct: int
    count: int
    loss: float

    @property
    def accuracy(self) -> float:
        """0 .. 1."""
        return self.correct / self.count
