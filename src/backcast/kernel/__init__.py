"""The recurrence on a CPU: a kernel in C++, built on first use, beside its slow definition."""

from __future__ import annotations

from backcast.kernel.call import usable
from backcast.kernel.decode import Maps, decode
from backcast.kernel.dense import dense
from backcast.kernel.layer import lstm, sweep
from backcast.kernel.library import KernelWarning, description, using

__all__ = ["KernelWarning", "Maps", "decode", "dense", "description", "lstm", "sweep", "usable", "using"]
