"""The recurrence on a CPU: a kernel in C++, built on first use, beside its slow definition."""

from __future__ import annotations

from backcast.kernel.layer import lstm, sweep, usable
from backcast.kernel.library import KernelWarning, description, using

__all__ = ["KernelWarning", "description", "lstm", "sweep", "usable", "using"]
