"""The supervised loss for a number."""

from __future__ import annotations

from dataclasses import dataclass

from backcast.batch import Batch
from backcast.nn.model import Model
from backcast.objectives.objective import Draw, Plan, Term
from backcast.objectives.supervised import AveragedOutput, LastOutput, head
from backcast.sweep import State


@dataclass(frozen=True)
class Regression(LastOutput):
    """Squared error of the target (`Batch.targets`), from the last output of the row.

    The model's classifier has one output. Targets should be standardised: an untrained network gives about 0.
    """

    name: str = "regression"
    supervised = True

    def loss(self, model: Model, batch: Batch, plan: Plan, states: State, draw: Draw) -> Term:
        return _target_loss(self, model, batch, plan, states, draw)


@dataclass(frozen=True)
class AveragedRegression(AveragedOutput):
    """Squared error of the target, from the average of the outputs."""

    name: str = "regression"
    supervised = True

    def loss(self, model: Model, batch: Batch, plan: Plan, states: State, draw: Draw) -> Term:
        return _target_loss(self, model, batch, plan, states, draw)


def _target_loss(
    objective: Regression | AveragedRegression,
    model: Model,
    batch: Batch,
    plan: Plan,
    states: State,
    draw: Draw,
) -> Term:
    """The squared error over the rows that have a target, weighted by row."""
    assert batch.targets is not None
    taught = (~batch.targets.isnan()).nonzero()[:, 0]
    if not len(taught):
        return Term.nothing(batch.device)
    predicted = head(model, objective.outputs(model, batch, plan, states, taught, draw), draw)[:, 0]
    losses = (predicted - batch.targets[taught]).square()
    if batch.weights is not None:
        losses = losses * batch.weights[taught]
    return Term(losses.sum(), len(taught))
