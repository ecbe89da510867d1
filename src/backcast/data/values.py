"""Several flat arrays of values read as one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Joined:
    """Arrays behind each other, without a copy. A slice must lie within one of them: rows never cross a border.

    parts   arrays (N_i, C) or (N_i,), or again such as these
    tables  for each part, what its numbers become: `table[value]`; None: they stay
    """

    parts: tuple[Any, ...]
    tables: tuple[NDArray[Any] | None, ...]

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self), *self.parts[0].shape[1:])

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the parts together."""
        return np.result_type(*(part.dtype for part in self.parts))

    @property
    def nbytes(self) -> int:
        return sum(part.nbytes for part in self.parts)

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
