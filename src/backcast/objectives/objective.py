"""What an objective is: it plans, a sweep carries the state, it returns a loss.

An objective first *plans*, in integers only, where its windows begin. One sweep without a graph then carries
the state there for all objectives at once. Finally each objective runs its windows with a graph and returns
a sum and a count, never a mean, so that batches can be split and put together again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from backcast import rng, windows
from backcast.batch import Batch
from backcast.nn.model import Model
from backcast.sweep import State, like, sweep


@dataclass(frozen=True)
class Draw:
    """The randomness of one training step; `epoch` and `step` count from 0 over all phases."""

    seed: int
    epoch: int
    step: int

    def uniform(
        self, purpose: str, rows: NDArray[np.int64], columns: int | NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Numbers in [0, 1), a row for each of `rows`, its own; so many columns, or those with these numbers."""
        return rng.uniform(rows, columns, self.seed, purpose, self.epoch)

    def generator(self, purpose: str, device: torch.device) -> torch.Generator:
        """A generator for what the whole batch shares, always at the beginning of its stream."""
        return rng.torch_generator(device, self.seed, purpose, self.step)


class Plan(NamedTuple):
    """`starts` (B, m): the steps at which a state is needed. `segments`: the objective's, if it has any."""

    starts: NDArray[np.int64]
    segments: windows.Segments | None = None


@dataclass(frozen=True)
class Term:
    """One objective's loss over a batch: the sum (with a graph), how many it sums, and how many were right."""

    total: Tensor
    count: int
    correct: int | None = None

    @staticmethod
    def nothing(device: torch.device, correct: int | None = None) -> Term:
        """The term of a batch from which the objective learns nothing."""
        return Term(torch.zeros((), device=device), 0, correct)

    @staticmethod
    def of_segments(losses: Tensor, lengths: NDArray[np.int64]) -> Term:
        """The sum of the targets' losses (B·n, L); what lies past a segment's own of `lengths` (B, n) is padding."""
        own = torch.from_numpy(windows.target_mask(lengths).reshape(losses.shape)).to(losses.device)
        return Term(torch.where(own, losses, 0.0).sum(), int(lengths.sum()))


class Objective(Protocol):
    """Something to learn: it says where it needs a state, and returns a loss from there on."""

    @property
    def name(self) -> str:
        """Its name in the metrics."""

    @property
    def supervised(self) -> bool:
        """Does it need labels?"""

    def plan(self, batch: Batch, draw: Draw) -> Plan:
        """Where its windows begin: integers, from `draw` and the batch's `lengths` and `rows` only."""

    def loss(self, model: Model, batch: Batch, plan: Plan, states: State, draw: Draw) -> Term:
        """The loss over its windows, with a graph: a sum and a count.

        plan    what `plan` returned for the same batch and draw
        states  the states at `plan.starts` (B, m), without a graph: each part (B × m, ...), row by row
        """


def losses(model: Model, objectives: Sequence[Objective], batch: Batch, draw: Draw) -> dict[str, Term]:
    """Every objective's loss over `batch`, by name: plans, one sweep for all of them, then their windows.

    Raises ValueError where two objectives have the same name.
    """
    if len({objective.name for objective in objectives}) < len(objectives):
        raise ValueError(f"two objectives have the same name: {[objective.name for objective in objectives]}")
    plans = [objective.plan(batch, draw) for objective in objectives]
    starts = np.concatenate([plan.starts for plan in plans], axis=1)
    states = sweep(model.encoder, batch, starts) if starts.shape[1] else ()
    terms, first = {}, 0
    for objective, plan in zip(objectives, plans, strict=True):
        count = plan.starts.shape[1]
        own = [part.unflatten(0, starts.shape)[:, first : first + count] for part in states]
        own = [part.flatten(0, 1).contiguous() for part in own]  # cuDNN takes only contiguous states
        terms[objective.name] = objective.loss(model, batch, plan, like(states, own), draw)
        first += count
    return terms
