"""The supervised loss for a number."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from backcast.batch import Batch
from backcast.objectives.supervised import AveragedOutput, LastOutput


@dataclass(frozen=True)
class _Targets:
    """Which rows have a target, and its squared error."""

    name: str = "regression"

    def taught(self, batch: Batch) -> Tensor:
        assert batch.targets is not None
        return (~batch.targets.isnan()).nonzero()[:, 0]

    def compared(self, predicted: Tensor, batch: Batch, rows: Tensor) -> tuple[Tensor, None]:
        assert batch.targets is not None
        return (predicted[:, 0] - batch.targets[rows]).square(), None


@dataclass(frozen=True)
class Regression(_Targets, LastOutput):
    """Squared error of the target (`Batch.targets`), from the last output of the row.

    The model's classifier has one output. Targets should be standardised: an untrained network gives about 0.
    """


@dataclass(frozen=True)
class AveragedRegression(_Targets, AveragedOutput):
    """Squared error of the target, from the average of the outputs."""
