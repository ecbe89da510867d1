"""What the numbers are measured on, and how much memory there is. Outside Linux some of it is unknown."""

from __future__ import annotations

import ctypes
import os
import platform
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

CGROUP = Path("/sys/fs/cgroup")


def describe_machine() -> dict[str, Any]:
    """In the process that measures: processor, memory, versions, threads, and the kernel in use."""
    import torch

    from backcast.kernel import description
    from backcast.machine import cores, processor

    return {
        "processor": processor(),
        "cores": cores(),
        "threads": torch.get_num_threads(),
        "memory": total_memory(),
        "torch": torch.__version__,
        "kernel": description(),
        "python": platform.python_version(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def load() -> float | None:
    """How many processes wanted to compute, on average over the last minute."""
    try:
        return round(os.getloadavg()[0], 2)
    except (OSError, AttributeError):  # Windows has none
        return None


def total_memory() -> int | None:
    """Bytes that processes here may use."""
    known = [size for size in (_meminfo("MemTotal"), _cgroup("memory.max")) if size is not None]
    return min(known, default=None)


def available_memory() -> int | None:
    """Bytes that are free for a new process."""
    limit, used = _cgroup("memory.max"), _cgroup("memory.current")
    left = limit - used if limit is not None and used is not None else None
    return min((size for size in (_meminfo("MemAvailable"), left) if size is not None), default=None)


def resident_bytes(process: int | str = "self", peak: bool = False) -> int | None:
    """What a process holds in memory now, or the most it held since `forget_peak`."""
    return _kilobytes(Path(f"/proc/{process}/status"), "VmHWM" if peak else "VmRSS")


def forget_peak() -> None:
    """Resets the peak of this process. (`ru_maxrss` cannot, and a child inherits its parent's.)"""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return  # then the peak so far remains, which was that of a tiny step


def give_back() -> None:
    """Returns to the system what this process has freed but kept for itself."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def _meminfo(name: str) -> int | None:
    return _kilobytes(Path("/proc/meminfo"), name)


def _kilobytes(path: Path, name: str) -> int | None:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    found = [line.split()[1] for line in lines if line.startswith(name + ":")]
    return int(found[0]) * 1024 if found else None


def _cgroup(name: str) -> int | None:
    try:
        text = (CGROUP / name).read_text(encoding="ascii").strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None
