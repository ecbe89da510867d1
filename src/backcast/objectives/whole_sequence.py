"""The rivals' pretraining (Dai & Le 2015): predicting every next element of the whole sequence."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from backcast import windows
from backcast.batch import Batch
from backcast.chunks import sum_of_chunks
from backcast.nn.model import Model
from backcast.objectives.objective import Draw, Plan, Term
from backcast.sweep import State, like, run_to_ends


@dataclass(frozen=True)
class WholeSequence:
    """Predicts each element of a row from the one before, over the whole row, by the main network and one linear map.

    from_end     False: a language model, from zeros. True: a sequence autoencoder; the same network first reads the
                 row, then repeats it from the state at its end (encoder and decoder share weights, as in Dai & Le)
    truncation   the row is read in chunks of this many steps; the state passes from one to the next without its
                 gradient, and each chunk has its own backward. When the autoencoder reads, as many steps at the end
                 carry a gradient, which only the first chunk sends there. None: one chunk, no cut. 0 is taken as 1

    How the paper truncates these two to 100 steps is not stated. Memory is that of one chunk.
    """

    truncation: int | None
    from_end: bool
    supervised = False

    @property
    def name(self) -> str:
        return "autoencoder" if self.from_end else "language_model"

    def plan(self, batch: Batch, draw: Draw) -> Plan:
        ends = batch.lengths[:, None]
        return Plan(windows.window_starts(ends, self._chunk(batch)) if self.from_end else np.zeros_like(ends))

    def loss(self, model: Model, batch: Batch, plan: Plan, states: State, draw: Draw) -> Term:
        count = int((batch.lengths - 1).sum())
        if not count:
            return Term.nothing(batch.device)
        return Term(sum_of_chunks(model, lambda: self._chunks(model, batch, plan, states)), count)

    def _chunks(self, model: Model, batch: Batch, plan: Plan, states: State) -> Iterator[Tensor]:
        """The loss of each chunk in turn."""
        assert model.next_element is not None
        state, chunk, last = states, self._chunk(batch), int(batch.lengths.max()) - 1
        if self.from_end:
            window = (batch.lengths[:, None] - plan.starts).ravel()
            x = batch.take(windows.window_positions(plan.starts, window))
            state = run_to_ends(model.encoder, x, states, window)
        for start in range(0, last, chunk):
            stop = min(start + chunk, last)
            elements = batch.slice(start, stop + 1)
            outputs, state = model.encoder(elements[:, :-1], state)
            losses = model.element_losses(model.next_element(outputs), elements[:, 1:])
            own = np.arange(start + 1, stop + 1) < batch.lengths[:, None]
            yield torch.where(torch.from_numpy(own).to(batch.device), losses, 0.0).sum()
            state = like(state, [part.detach() for part in state])

    def _chunk(self, batch: Batch) -> int:
        return int(batch.lengths.max()) if self.truncation is None else max(self.truncation, 1)
