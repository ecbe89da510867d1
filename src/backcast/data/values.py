"""Flat values: several arrays read as one, and mapped files that do not stay in memory."""

from __future__ import annotations

import mmap
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

RELEASE_BYTES = 64 << 20  # mapped files below this stay in memory


def release(values: Any) -> None:
    """Drops what has been read of a mapped file from the process; it stays in the system's cache.

    Otherwise a process that reads a large file seems to hold all of it. Arrays in memory are left alone.
    """
    if isinstance(values, Joined):
        for part in values.parts:
            release(part)
    elif values.nbytes > RELEASE_BYTES and hasattr(mmap, "MADV_DONTNEED"):
        mapped = getattr(values, "_mmap", None)
        if mapped is not None:
            mapped.madvise(mmap.MADV_DONTNEED)


@dataclass(frozen=True)
class Joined:
    """Arrays end to end, without a copy. What is read at once must lie within one of them: rows never cross a border.

    parts   arrays (N_i, C) or (N_i,), or other `Joined`
    tables  for each part, what its numbers become: `table[value]`; None: they stay as they are
    """

    parts: tuple[Any, ...]
    tables: tuple[NDArray[Any] | None, ...]

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self), *self.parts[0].shape[1:])

    def __getitem__(self, place: slice | NDArray[np.int64]) -> NDArray[Any]:
        """A slice, or the elements at some indices."""
        offset = 0
        first = place.start if isinstance(place, slice) else int(place.min())
        for part, table in zip(self.parts, self.tables, strict=True):
            if first < offset + len(part):
                own = (
                    slice(place.start - offset, place.stop - offset)
                    if isinstance(place, slice)
                    else place - offset
                )
                found: NDArray[Any] = part[own]
                return found if table is None else table[found]
            offset += len(part)
        raise IndexError(place)
