"""What supervised losses share, and what they read: an output at the row's end, or the average of all outputs."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from backcast import windows
from backcast.batch import Batch
from backcast.errors import InputError, require_count
from backcast.nn.model import Model, full_precision
from backcast.objectives.objective import Draw, Plan, Term
from backcast.recompute import recomputed_outputs
from backcast.sweep import State, like


class Supervised:
    """A loss over the rows that have something to learn, each with its weight."""

    supervised = True
    none_correct: ClassVar[int | None] = None  # `Term.correct` where there are no such rows

    def loss(self, model: Model, batch: Batch, plan: Plan, states: State, draw: Draw) -> Term:
        rows = self.taught(batch)
        if not len(rows):
            return Term.nothing(batch.device, self.none_correct)
        output = self.outputs(model, batch, plan, states, rows, draw)
        assert model.classifier is not None
        second_weight = model.classifier.drop(draw.generator("dropconnect/classifier", output.device))
        predicted = full_precision(model.classifier(output, second_weight))
        losses, correct = self.compared(predicted, batch, rows)
        if batch.weights is not None:
            losses = losses * batch.weights[rows]
        return Term(losses.sum(), len(rows), correct)

    def outputs(
        self, model: Model, batch: Batch, plan: Plan, states: State, rows: Tensor, draw: Draw
    ) -> Tensor:
        """What the classifier is given of the rows numbered `rows` (n,), with a graph: (n, H)."""
        raise NotImplementedError

    def taught(self, batch: Batch) -> Tensor:
        """The numbers (n,) of the rows that have a label or a target."""
        raise NotImplementedError

    def compared(self, predicted: Tensor, batch: Batch, rows: Tensor) -> tuple[Tensor, int | None]:
        """The loss (n,) of each of `rows` (n,), and in a classification how many are right; `predicted` (n, classes or 1)."""
        raise NotImplementedError


@dataclass(frozen=True)
class LastOutput(Supervised):
    """The output at a row's last step.

    truncation  steps before the end of the row that carry a gradient; None: all of them (full BPTT);
                0: no supervised gradient reaches the main network (section 4, figure 4)
    recompute   with truncation None: the same gradient, in memory that grows with the square root of the length

    Raises InputError for any other truncation, and for one with `recompute`.
    """

    truncation: int | None
    recompute: bool = False

    def __post_init__(self) -> None:
        if self.truncation is not None and self.truncation != 0:
            require_count("truncation, where it is neither None nor 0,", self.truncation)
        if self.recompute and self.truncation is not None:
            raise InputError(f"recompute is for full BPTT: truncation must be None, not {self.truncation!r}")

    def plan(self, batch: Batch, draw: Draw) -> Plan:
        ends = batch.lengths[:, None]
        truncation = int(ends.max()) if self.truncation is None else max(self.truncation, 1)
        return Plan(windows.window_starts(ends, truncation))

    def outputs(
        self, model: Model, batch: Batch, plan: Plan, states: State, rows: Tensor, draw: Draw
    ) -> Tensor:
        if self.recompute:
            return recomputed_outputs(model.encoder, batch)[rows]
        with torch.no_grad() if self.truncation == 0 else nullcontext():
            lengths = batch.lengths[:, None] - plan.starts
            x = batch.take(windows.window_positions(plan.starts, lengths))[rows]
            last = torch.from_numpy(lengths[:, 0] - 1).to(batch.device)[rows]
            found, _ = model.encoder(x, like(states, [part[rows] for part in states]))
            return found[torch.arange(len(rows), device=batch.device), last]


@dataclass(frozen=True)
class AveragedOutput(Supervised):
    """The average of a non-recurrent network's outputs (section 4, the Transformer)."""

    def plan(self, batch: Batch, draw: Draw) -> Plan:
        return Plan(np.zeros((len(batch), 0), np.int64))

    def outputs(
        self, model: Model, batch: Batch, plan: Plan, states: State, rows: Tensor, draw: Draw
    ) -> Tensor:
        x = batch.slice(0, int(batch.lengths.max()))[rows]
        generator = draw.generator("dropout/encoder", batch.device) if model.training else None
        output: Tensor = model.encoder(x, batch.lengths[rows.cpu().numpy()], generator)
        return output
