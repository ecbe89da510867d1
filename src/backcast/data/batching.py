"""Which rows are read together: in random order, but rows of similar length together."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from backcast import rng
from backcast.errors import InputError

POOL = 50  # batches whose rows are sorted by length together


def epoch_batches(
    lengths: NDArray[np.int64], rows: NDArray[np.int64], size: int, seed: int, epoch: int
) -> list[NDArray[np.int64]]:
    """All of `rows`, `size` at a time, for one epoch.

    lengths  of every row of the data set
    rows     the numbers of those to be read

    The rows are shuffled and, within pools of `POOL` batches, sorted by length, so that little of a batch is padding;
    then the batches are shuffled. Where all lengths are the same, the rows are only shuffled.
    """
    order = rows[rng.permutation(len(rows), seed, "order", epoch)]
    ragged = len(rows) > 0 and int(lengths[rows].min()) < int(lengths[rows].max())
    if ragged:
        pools = [order[start : start + POOL * size] for start in range(0, len(order), POOL * size)]
        order = np.concatenate([pool[np.argsort(lengths[pool], kind="stable")] for pool in pools])
    batches = [order[start : start + size] for start in range(0, len(order), size)]
    if ragged:
        batches = [batches[i] for i in rng.permutation(len(batches), seed, "batches", epoch)]
    return batches


def by_length(lengths: NDArray[np.int64], size: int) -> list[NDArray[np.int64]]:
    """All rows, `size` at a time, those of similar length together. Raises InputError for a size below 1."""
    if size < 1:
        raise InputError(f"batch_size is {size}; it must be at least 1")
    order = np.argsort(lengths, kind="stable")
    return [order[start : start + size] for start in range(0, len(order), size)]
