"""What this machine is."""

from __future__ import annotations

import os
import platform
from pathlib import Path


def processor() -> str:
    """What the machine calls its processor."""
    return _cpuinfo("model name") or platform.processor() or platform.machine()


def cores() -> int:
    """The number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def instructions() -> set[str]:
    """The instruction sets that the processor has, as Linux names them; empty where it does not say."""
    return set(_cpuinfo("flags").split())


def _cpuinfo(title: str) -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    found = [line.split(":", 1)[1].strip() for line in lines if line.split("\t")[0].strip() == title]
    return found[0] if found else ""
