"""What a classifier is judged by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Scores:
    """How labelled rows were classified.

    confusion  (classes, classes) counts of rows, true class down, predicted across; sums of weights if rows have any
    loss       their mean cross-entropy
    """

    confusion: NDArray[Any]
    loss: float

    @staticmethod
    def of(
        labels: NDArray[np.int64],
        predicted: NDArray[np.int64],
        classes: int,
        loss: float,
        weights: NDArray[np.float64] | None = None,
    ) -> Scores:
        """From the true and the predicted classes, (n,) each, and the rows' weights."""
        confusion = np.zeros((classes, classes), np.int64 if weights is None else np.float64)
        np.add.at(confusion, (labels, predicted), 1 if weights is None else weights)
        return Scores(confusion, loss)

    @property
    def correct(self) -> int:
        """Rows; of weighted rows the sum of their weights, rounded down, as in `count`."""
        return int(self.confusion.trace())

    @property
    def count(self) -> int:
        return int(self.confusion.sum())

    @property
    def accuracy(self) -> float:
        """0 .. 1."""
        return float(self.confusion.trace() / self.confusion.sum())

    @property
    def balanced_accuracy(self) -> float:
        """The mean over classes of the share of their rows that was found; classes without a row do not count."""
        rows = self.confusion.sum(axis=1)
        return float((self.confusion.diagonal()[rows > 0] / rows[rows > 0]).mean())

    @property
    def macro_f1(self) -> float:
        """The mean over classes of F1; classes that neither occur nor are predicted do not count."""
        both = self.confusion.sum(axis=1) + self.confusion.sum(axis=0)
        return float((2 * self.confusion.diagonal()[both > 0] / both[both > 0]).mean())

    def to_json(self) -> dict[str, Any]:
        return {
            "accuracy": self.accuracy,
            "balanced_accuracy": self.balanced_accuracy,
            "macro_f1": self.macro_f1,
            "correct": self.correct,
            "rows": self.count,
            "loss": self.loss,
            "confusion": self.confusion.tolist(),
        }
