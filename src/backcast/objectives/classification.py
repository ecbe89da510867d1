"""The supervised loss for a class label."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor
from torch.nn import functional as F

from backcast.batch import Batch
from backcast.objectives.supervised import AveragedOutput, LastOutput


@dataclass(frozen=True)
class _Labels:
    """Which rows have a label, and its cross-entropy, weighted by class."""

    weights: tuple[float, ...] | None = None
    name: str = "classification"
    none_correct: ClassVar[int | None] = 0

    def taught(self, batch: Batch) -> Tensor:
        return (batch.labels >= 0).nonzero()[:, 0]

    def compared(self, predicted: Tensor, batch: Batch, rows: Tensor) -> tuple[Tensor, int]:
        labels = batch.labels[rows]
        losses = F.cross_entropy(predicted, labels, reduction="none")
        if self.weights is not None:
            losses = losses * losses.new_tensor(self.weights)[labels]
        return losses, int((predicted.argmax(dim=1) == labels).sum())


@dataclass(frozen=True)
class Classification(_Labels, LastOutput):
    """Cross-entropy of the label, from the last output of the row.

    weights  how much a row of each class counts, 1 on average; None: all the same
    """


@dataclass(frozen=True)
class AveragedClassification(_Labels, AveragedOutput):
    """Cross-entropy of the label, from the average of the outputs. `weights` as for `Classification`."""
