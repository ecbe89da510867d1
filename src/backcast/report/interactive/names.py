"""Names that occur on the page, numbered as they come."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

UNKNOWN: Any = object()
"""The one symbol more that a model has: any that its training rows lack."""


class Names(list[Any]):
    """Symbols or classes, each once, as text: what is a number to one run may be its digits to another."""

    def __init__(self) -> None:
        super().__init__()
        self._number: dict[Any, int] = {}

    def code(self, name: Any) -> int:
        """The name's number, a new one where it has none."""
        name = name if name is UNKNOWN else str(name)
        if name not in self._number:
            self._number[name] = len(self)
            self.append(name)
        return self._number[name]

    def codes(self, values: NDArray[np.float64], table: Sequence[Any]) -> NDArray[np.float64]:
        """Numbers into `table`, of any shape, as the page's own; nan stays."""
        found = np.full(values.shape, np.nan)
        known = ~np.isnan(values)
        occurring, places = np.unique(values[known].astype(np.int64), return_inverse=True)
        found[known] = np.array([self.code(table[value]) for value in occurring], np.float64)[places]
        return found
