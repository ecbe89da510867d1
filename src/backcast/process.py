"""Settings of a whole process that decide how fast training is on a CPU.

The `backcast` command makes them in its own process. In anybody else's they are the owner's to make; only
denormals are set, for as long as backcast trains, and restored. BACKCAST_PROCESS=as-is leaves all of it alone.
"""

from __future__ import annotations

import ctypes
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager

VARIABLE = "BACKCAST_PROCESS"
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # glibc's malloc.h
SPINS = "10000"  # by default they spin for milliseconds; with none at all torch's own operations suffer (measured)


def prepare() -> None:
    """To be called first thing in a process of one's own, before torch is imported.

    Denormal numbers count as zero in all threads to come; memory that is freed is kept for the next step, not
    returned to the system to be cleared and fetched again; large buffers lie in huge pages; torch's threads that
    wait for work do not long hold on to a core that our kernel's threads could have.
    """
    if _is_to_be_left():
        return
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    os.environ.setdefault("GOMP_SPINCOUNT", SPINS)
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(M_MMAP_MAX, 0)
        libc.mallopt(M_TRIM_THRESHOLD, -1)
    import torch

    torch.set_flush_denormal(True)


@contextmanager
def flushed_denormals() -> Iterator[None]:
    """Denormal numbers count as zero inside, and as before outside.

    In full BPTT gradients decay into them, and CPUs are very slow at them. The setting is a thread's own and
    worker threads take it over when they are made, so in a process that has computed in parallel before, only
    this thread (and our kernel, which sees to its own) obeys.
    """
    import torch

    if _is_to_be_left():
        yield
        return
    before = bool(torch.tensor([1e-40]) * 1.0 == 0)
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)


def _is_to_be_left() -> bool:
    return os.environ.get(VARIABLE) == "as-is"
