"""Numbers too small for a normal float: very slow on CPUs, and of no use to anyone here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def flushed() -> Iterator[None]:
    """Denormal numbers count as zero inside, and as before outside.

    In full BPTT gradients decay into them. The setting is a thread's own and worker threads take it over when
    they are made, so in a process that has computed in parallel before, only this thread obeys.
    """
    before = bool(torch.tensor([1e-40]) * 1.0 == 0)
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)
