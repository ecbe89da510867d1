"""What every contender offers to the process it lives in."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


class Work:
    """Built once from its settings, then given an input and run as often as is asked."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.settings = settings

    def prepare(self, tiny: bool) -> int:
        """Makes the input, `tiny` or in full size, in place of the one before; returns its bytes."""
        raise NotImplementedError

    def run(self) -> dict[str, float]:
        """Runs once; returns seconds by name."""
        raise NotImplementedError

    def kept(self) -> int | None:
        """The bytes that a training step saves for its backward pass; None: there is none."""
        return None


def seconds(run: Callable[[], object]) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began
