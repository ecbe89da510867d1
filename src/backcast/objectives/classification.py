"""The supervised loss for a class label."""

from __future__ import annotations

from dataclasses import dataclass

from torch.nn import functional as F

from backcast.batch import Batch
from backcast.nn.model import Model
from backcast.objectives.objective import Draw, Plan, Term
from backcast.objectives.supervised import AveragedOutput, LastOutput, head
from backcast.sweep import State


@dataclass(frozen=True)
class Classification(LastOutput):
    """Cross-entropy of the label, from the last output of the row.

    weights  how much a row of each class counts, 1 on average; None: all the same
    """

    weights: tuple[float, ...] | None = None
    name: str = "classification"
    supervised = True

    def loss(self, model: Model, batch: Batch, plan: Plan, states: State, draw: Draw) -> Term:
        return _label_loss(self, model, batch, plan, states, draw)


@dataclass(frozen=True)
class AveragedClassification(AveragedOutput):
    """Cross-entropy of the label, from the average of the outputs. `weights` as for `Classification`."""

    weights: tuple[float, ...] | None = None
    name: str = "classification"
    supervised = True

    def loss(self, model: Model, batch: Batch, plan: Plan, states: State, draw: Draw) -> Term:
        return _label_loss(self, model, batch, plan, states, draw)


def _label_loss(
    objective: Classification | AveragedClassification,
    model: Model,
    batch: Batch,
    plan: Plan,
    states: State,
    draw: Draw,
) -> Term:
    """The classifier's cross-entropy over the rows that have a label, weighted by class and by row."""
    labelled = (batch.labels >= 0).nonzero()[:, 0]
    if not len(labelled):
        return Term.nothing(batch.device, correct=0)
    logits = head(model, objective.outputs(model, batch, plan, states, labelled, draw), draw)
    labels = batch.labels[labelled]
    losses = F.cross_entropy(logits, labels, reduction="none")
    if objective.weights is not None:
        losses = losses * losses.new_tensor(objective.weights)[labels]
    if batch.weights is not None:
        losses = losses * batch.weights[labelled]
    return Term(losses.sum(), len(labels), int((logits.argmax(dim=1) == labels).sum()))
