"""Randomness that is keyed, not streamed.

Every random number follows from what it is for: (seed, purpose, epoch, row) or (seed, purpose, step).
So there is no generator state to save, a resumed run is the same run, the anchors of a row do not depend
on the rest of its batch, and switching one loss on changes nothing else.
"""

from __future__ import annotations

import hashlib

import numpy as np
import torch
from numpy.typing import NDArray

Key = int | str


def key(*parts: Key) -> int:
    """A 64-bit number that follows from `parts`, the same on every machine."""
    text = "/".join(f"{type(part).__name__}:{part}" for part in parts)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def torch_generator(device: torch.device | str, *parts: Key) -> torch.Generator:
    """A new torch generator on `device`, always at the beginning of its stream."""
    return torch.Generator(device).manual_seed(key(*parts) % 2**63)


def permutation(n: int, *parts: Key) -> NDArray[np.int64]:
    """A random order of 0 .. n-1."""
    return np.random.Generator(np.random.Philox(key=key(*parts))).permutation(n)


def uniform(rows: NDArray[np.int64], columns: int | NDArray[np.int64], *parts: Key) -> NDArray[np.float64]:
    """Numbers in [0, 1), one per row and column: the first so many columns, or those with these numbers (from 0).

    Each depends only on `parts`, its row and its column.

    A counter-based generator: the SplitMix64 finaliser (Steele et al. 2014) over (key, row), then column.
    """
    with np.errstate(over="ignore"):
        stream = _mix(np.uint64(key(*parts)) + rows.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15))
        which = np.arange(columns) if isinstance(columns, int | np.integer) else columns
        column = (which + 1).astype(np.uint64) * np.uint64(0xD1B54A32D192ED03)
        bits = _mix(stream[:, None] + column)
    return (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _mix(z: NDArray[np.uint64]) -> NDArray[np.uint64]:
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
