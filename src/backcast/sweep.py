"""States carried along a sequence.

`sweep` reads without a graph and keeps the states at given steps of each row and nothing else, so its memory
does not grow with the length. `run_to_ends` reads windows of unequal lengths, with a graph where one is
wanted, and gives the state at each window's own end.

Both chain ordinary calls of the encoder between the steps at which a state is wanted. That needs nothing
but `zero_state` and `forward`, and on a CPU it beats `nn.LSTM` on packed sequences more than tenfold
(docs/design.md, "What was measured"). An encoder that can do better is a `FastEncoder`.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from backcast.batch import Batch

State = tuple[Tensor, ...]
"""What a recurrent network carries from step to step: tensors whose first dimension is the batch."""

PIECE = 64
"""Steps per call of a sweep: long calls store outputs that nobody reads and are slower for it."""
DISK_PIECE = 1 << 18
"""Steps of all rows together that are read from disk at a time."""


class RecurrentEncoder(Protocol):
    """Any recurrent network. Two methods are enough for everything in backcast."""

    def zero_state(self, batch_size: int) -> State:
        """s_0 for `batch_size` rows."""

    def __call__(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Reads x (B, L[, C]) from `state`; gives outputs (B, L, H) and the state after the last step."""


@runtime_checkable
class FastEncoder(Protocol):
    """What an encoder may also offer: the same results, with no time lost between the wanted states."""

    def sweep(self, x: Tensor, steps: NDArray[np.int64], state: State | None = None) -> State | None:
        """As `sweep` below, of x (B, T[, C]) from `state` (None: s_0); None where it currently cannot."""

    def run_to_ends(self, x: Tensor, state: State, lengths: NDArray[np.int64]) -> State | None:
        """As `run_to_ends` below; None where it cannot."""


def sweep(encoder: RecurrentEncoder, batch: Batch, steps: NDArray[np.int64]) -> State:
    """The states s_t of each row at its own `steps` (B, m), 0 .. row length: tensors (B·m, ...), no graph.

    It stops at the largest step asked for, and what lies after a row's end never reaches its states. Raises ValueError for
    other steps.
    """
    outside = (steps < 0) | (steps > batch.lengths[:, None])
    if outside.any():
        row, place = map(int, np.argwhere(outside)[0])
        raise ValueError(
            f"row {row} of the batch has {batch.lengths[row]} steps, so there is no state after {steps[row, place]}: "
            "see the starts of the objective's plan"
        )
    if isinstance(encoder, FastEncoder):
        found = _fast_sweep(encoder, batch, steps)
        if found is not None:
            return found
    with torch.no_grad():
        state = encoder.zero_state(len(batch))
        kept = [part.repeat_interleave(steps.shape[1], dim=0) for part in state]
        order = np.argsort(steps, axis=None, kind="stable")
        sorted_steps = steps.ravel()[order]
        places = torch.from_numpy(order).to(batch.device)
        now = 0
        for stop in _stops(sorted_steps):
            _, state = encoder(batch.slice(now, stop), state)
            now = stop
            first, last = np.searchsorted(sorted_steps, [stop, stop + 1])
            if last > first:
                wanted = places[first:last]
                for store, part in zip(kept, state, strict=True):
                    store[wanted] = part[wanted // steps.shape[1]].to(store.dtype)
    return like(state, kept)


def _fast_sweep(encoder: FastEncoder, batch: Batch, steps: NDArray[np.int64]) -> State | None:
    """The encoder's own sweep; piece by piece for a batch on disk."""
    end = int(steps.max())
    if not batch.on_disk:
        return encoder.sweep(batch.slice(0, end), steps)
    piece = max(PIECE, DISK_PIECE // len(batch))
    last = steps.max(axis=1, keepdims=True)
    state: State | None = None
    kept: list[Tensor] = []
    for start in range(0, max(end, 1), piece):
        stop = min(start + piece, end)
        wanted = np.concatenate([steps, last], axis=1)
        found = encoder.sweep(batch.slice(start, stop), np.clip(wanted - start, 0, stop - start), state)
        if found is None:
            return None
        split = [part.unflatten(0, wanted.shape) for part in found]
        state = like(found, [part[:, -1].contiguous() for part in split])
        own = torch.from_numpy(steps > start)[..., None]
        now = [part[:, :-1] for part in split]
        kept = [torch.where(own, new, old) for new, old in zip(now, kept, strict=True)] if kept else now
    assert state is not None
    return like(state, [part.flatten(0, 1) for part in kept])


def run_to_ends(encoder: RecurrentEncoder, x: Tensor, state: State, lengths: NDArray[np.int64]) -> State:
    """Reads the first `lengths` (N,) steps of each row of x (N, L[, C]) from `state`; returns the states there.

    With a graph if gradients are on. Rows that have ended are left out of later calls.
    """
    if (lengths == lengths[0]).all():
        return encoder(x[:, : int(lengths[0])], state)[1]
    if isinstance(encoder, FastEncoder):
        found = encoder.run_to_ends(x, state, lengths)
        if found is not None:
            return found
    order = np.argsort(-lengths, kind="stable")
    ordered = lengths[order]
    places = torch.from_numpy(order).to(x.device)
    x, alive = x[places], [part[places] for part in state]
    ended: list[list[Tensor]] = []
    now = 0
    for stop in np.unique(ordered):
        if stop > now:
            outcome = encoder(x[: len(alive[0]), now:stop], like(state, alive))[1]
            alive, now = list(outcome), int(stop)
        going_on = int((ordered > stop).sum())
        ended.append([part[going_on:] for part in alive])
        alive = [part[:going_on] for part in alive]
    back = torch.argsort(places)
    return like(state, [torch.cat(parts[::-1])[back] for parts in zip(*ended, strict=True)])


def _stops(sorted_steps: NDArray[np.int64]) -> list[int]:
    """Where the calls of a sweep end: at every step asked for, and every PIECE steps in between."""
    last = int(sorted_steps[-1])
    return sorted({*sorted_steps.tolist(), *range(PIECE, last, PIECE)} - {0})


def like(state: State, parts: list[Tensor]) -> State:
    """`parts` as the same kind of tuple as `state`, named or not."""
    return type(state)(*parts) if hasattr(state, "_fields") else tuple(parts)
