"""The supervised loss: of a recurrent network's last output, or of a whole sequence's average."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from backcast import recompute, windows
from backcast.batch import Batch
from backcast.nn.model import Model, full_precision
from backcast.objectives.objective import Draw, Plan, Term
from backcast.sweep import State, like


@dataclass(frozen=True)
class Classification:
    """Cross-entropy of the label, from the last output of the row.

    truncation  steps before the end of the row that carry a gradient; None: all of them (full BPTT);
                0: no supervised gradient reaches the main network (section 4, figure 4)
    recompute   with truncation None: the same gradient, in memory of the square root of the length
    weights     how much a row of each class counts, 1 on average; None: all the same
    """

    truncation: int | None
    recompute: bool = False
    weights: tuple[float, ...] | None = None
    name: str = "classification"
    supervised = True

    def plan(self, batch: Batch, draw: Draw) -> Plan:
        ends = batch.lengths[:, None]
        truncation = int(ends.max()) if self.truncation is None else max(self.truncation, 1)
        return Plan(windows.window_starts(ends, truncation))

    def loss(self, model: Model, batch: Batch, plan: Plan, states: State, draw: Draw) -> Term:
        labelled = (batch.labels >= 0).nonzero()[:, 0]
        if not len(labelled):
            return Term(torch.zeros((), device=batch.device), 0, 0)
        if self.recompute:
            output = recompute.last_outputs(model.encoder, batch)[labelled]
        else:
            with torch.no_grad() if self.truncation == 0 else nullcontext():
                output = self._last_outputs(model, batch, plan, states, labelled)
        return label_loss(model, output, batch.labels[labelled], self.weights, draw)

    def _last_outputs(
        self, model: Model, batch: Batch, plan: Plan, states: State, labelled: Tensor
    ) -> Tensor:
        """The labelled rows' windows, with a graph: the output at each one's last step."""
        lengths = batch.lengths[:, None] - plan.starts
        x = batch.take(plan.starts[:, :, None] + np.arange(int(lengths.max())))[labelled]
        last = torch.from_numpy(lengths[:, 0] - 1).to(batch.device)[labelled]
        outputs, _ = model.encoder(x, like(states, [part[labelled] for part in states]))
        return outputs[torch.arange(len(labelled), device=batch.device), last]


@dataclass(frozen=True)
class AveragedClassification:
    """Cross-entropy of the label, from the average of a non-recurrent network's outputs (section 4, the Transformer).

    weights  as of `Classification`
    """

    weights: tuple[float, ...] | None = None
    name: str = "classification"
    supervised = True

    def plan(self, batch: Batch, draw: Draw) -> Plan:
        return Plan(np.zeros((len(batch), 0), np.int64))

    def loss(self, model: Model, batch: Batch, plan: Plan, states: State, draw: Draw) -> Term:
        labelled = (batch.labels >= 0).nonzero()[:, 0]
        if not len(labelled):
            return Term(torch.zeros((), device=batch.device), 0, 0)
        x = batch.slice(0, int(batch.lengths.max()))[labelled]
        generator = draw.generator("dropout/encoder", batch.device)
        output = model.encoder(x, batch.lengths[labelled.cpu().numpy()], generator)
        return label_loss(model, output, batch.labels[labelled], self.weights, draw)


def label_loss(
    model: Model, output: Tensor, labels: Tensor, weights: tuple[float, ...] | None, draw: Draw
) -> Term:
    """The classifier's cross-entropy on outputs (n, H) of labelled rows, (n,) labels."""
    assert model.classifier is not None
    second_weight = model.classifier.drop(draw.generator("dropconnect/classifier", output.device))
    logits = full_precision(model.classifier(output, second_weight))
    losses = F.cross_entropy(logits, labels, reduction="none")
    if weights is not None:
        losses = losses * losses.new_tensor(weights)[labels]
    return Term(losses.sum(), len(labels), int((logits.argmax(dim=1) == labels).sum()))
