"""Settings of a whole process that decide how fast training is on a CPU, and what ends one.

The `backcast` command makes them in its own process. In any other they are left to its owner: only the handling of
denormals is changed, while backcast trains, and then restored. BACKCAST_PROCESS=as-is leaves everything alone.
"""

from __future__ import annotations

import ctypes
import os
import platform
import signal
from collections.abc import Iterator
from contextlib import contextmanager

VARIABLE = "BACKCAST_PROCESS"
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # glibc's malloc.h
SPINS = "10000"  # the default is milliseconds of spinning; with none at all torch's own operations suffer (measured)


def prepare() -> None:
    """Call this first in a process of your own, before torch is imported.

    Denormal numbers count as zero in this and all later threads; freed memory is kept for the next step, not
    returned to the system to be cleared and fetched again; large buffers use huge pages; torch's threads that
    wait for work soon give up a core that our kernel's threads could use.
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

    In full BPTT gradients decay into them, and CPUs are very slow with them. Each thread has its own setting, which
    worker threads inherit when they are created, so in a process that has already computed in parallel, it holds
    only in this thread (and in our kernel, which takes care of its own threads).
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


def ending_signals() -> list[signal.Signals]:
    """What asks a process to end: Ctrl-C, SIGTERM and a closing terminal's SIGHUP, unless that is ignored, as nohup has it."""
    ending = [signal.SIGINT, signal.SIGTERM]
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # Windows has none
        ending.append(signal.SIGHUP)
    return ending


def _is_to_be_left() -> bool:
    return os.environ.get(VARIABLE) == "as-is"
