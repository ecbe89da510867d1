"""What a classifier is judged by."""

from __future__ import annotations

from typing import NamedTuple


class Accuracy(NamedTuple):
    """Of `count` labelled rows `correct` were right; `loss` is their mean cross-entropy."""

    correct: int
    count: int
    loss: float

    @property
    def accuracy(self) -> float:
        """0 .. 1."""
        return self.correct / self.count
