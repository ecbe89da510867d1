"""What a supervised loss reads: a recurrent network's output at a row's end, or the average of another's outputs."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from backcast import windows
from backcast.batch import Batch
from backcast.errors import InputError, require_count
from backcast.nn.model import Model, full_precision
from backcast.objectives.objective import Draw, Plan
from backcast.recompute import recomputed_outputs
from backcast.sweep import State, like


@dataclass(frozen=True)
class LastOutput:
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
        self, model: Model, batch: Batch, plan: Plan, states: State, taught: Tensor, draw: Draw
    ) -> Tensor:
        """The outputs (n, H) of the rows numbered `taught` (n,), with a graph."""
        if self.recompute:
            return recomputed_outputs(model.encoder, batch)[taught]
        with torch.no_grad() if self.truncation == 0 else nullcontext():
            lengths = batch.lengths[:, None] - plan.starts
            x = batch.take(windows.window_positions(plan.starts, lengths))[taught]
            last = torch.from_numpy(lengths[:, 0] - 1).to(batch.device)[taught]
            found, _ = model.encoder(x, like(states, [part[taught] for part in states]))
            return found[torch.arange(len(taught), device=batch.device), last]


def head(model: Model, output: Tensor, draw: Draw) -> Tensor:
    """The classifier applied to outputs (n, H), under this step's DropConnect."""
    assert model.classifier is not None
    second_weight = model.classifier.drop(draw.generator("dropconnect/classifier", output.device))
    return full_precision(model.classifier(output, second_weight))


@dataclass(frozen=True)
class AveragedOutput:
    """The average of a non-recurrent network's outputs (section 4, the Transformer)."""

    def plan(self, batch: Batch, draw: Draw) -> Plan:
        return Plan(np.zeros((len(batch), 0), np.int64))

    def outputs(
        self, model: Model, batch: Batch, plan: Plan, states: State, taught: Tensor, draw: Draw
    ) -> Tensor:
        """As in `LastOutput`."""
        x = batch.slice(0, int(batch.lengths.max()))[taught]
        generator = draw.generator("dropout/encoder", batch.device)
        output: Tensor = model.encoder(x, batch.lengths[taught.cpu().numpy()], generator)
        return output
