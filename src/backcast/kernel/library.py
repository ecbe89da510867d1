"""Which kernel is in use: chosen by the processor, or by BACKCAST_KERNEL; loaded once."""

from __future__ import annotations

import ctypes
import os
import platform
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch

from backcast.errors import InputError
from backcast.kernel.build import BuildError, forget, library
from backcast.machine import instructions, processor

VARIABLE = "BACKCAST_KERNEL"
X86 = platform.machine().lower() in ("x86_64", "amd64")
AVX2 = ("-mavx2", "-mfma")
BF16 = ("-mavx512bf16",)
AVX512 = ("-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", *AVX2)
FLAGS = {
    "avx512": ("-DWIDTH=16", *AVX512),
    "avx2": ("-DWIDTH=8", *AVX2),
    "portable": ("-DWIDTH=4",),
}
FUNCTIONS = (
    "backcast_forward",
    "backcast_backward",
    "backcast_sweep",
    "backcast_decode",
    "backcast_dense",
    "backcast_dense_backward",
)
NAMES = ("auto", *FLAGS, "off")


class KernelWarning(UserWarning):
    """The kernel is unavailable, and nn.LSTM takes its place."""


@dataclass(frozen=True)
class Choice:
    """The kernel in use; `functions` is None where there is none, and `reason` says why. `bf16`: can it sweep in that?"""

    name: str
    reason: str
    functions: ctypes.CDLL | None
    path: Path | None = None
    bf16: bool = False


_chosen: list[str] = []  # the names of the `using` blocks in effect, the innermost last


@contextmanager
def using(name: str) -> Iterator[None]:
    """Uses the kernel `name` ("auto", "avx512", "avx2", "portable" or "off") inside the block.

    After it, the previous one is in use again. This affects the whole process, in which nothing else should run
    meanwhile. Raises InputError where there is no kernel of that name, or it is unavailable here.
    """
    _choose(name)
    _chosen.append(name)
    try:
        yield
    finally:
        _chosen.pop()


def choice() -> Choice:
    """The kernel in use. Raises InputError where BACKCAST_KERNEL asks for one that is unavailable."""
    return _choose(_chosen[-1] if _chosen else os.environ.get(VARIABLE) or "auto")


def description() -> str:
    """One line: what is in use, and why."""
    found = choice()
    return f"{found.name}: {found.reason}"


def available() -> list[str]:
    """The kernels that this processor can run, best first."""
    known = {"AVX512": ["avx512", "avx2"], "AVX2": ["avx2"]}
    return [*(known.get(torch.backends.cpu.get_cpu_capability(), []) if X86 else []), "portable"]


@cache
def _choose(name: str) -> Choice:
    if name not in NAMES:
        raise InputError(f"{VARIABLE}={name}: there is no such kernel; it is one of {', '.join(NAMES)}")
    if name == "off":
        return Choice("off", "asked for", None)
    if name == "auto":
        best = available()[0]
        try:
            return _load(best, f"the best for {processor()}")
        except BuildError as error:
            warnings.warn(f"no kernel, nn.LSTM in its place: {error}", KernelWarning, stacklevel=2)
            return Choice("off", str(error), None)
    if name not in available():
        raise InputError(
            f"{VARIABLE}={name}: {processor()} cannot run it; it can run {', '.join(available())}"
        )
    try:
        return _load(name, "asked for")
    except BuildError as error:
        raise InputError(f"{VARIABLE}={name}: {error}") from None


def _load(name: str, reason: str) -> Choice:
    try:
        return _open(name, reason)
    except _CannotBeLoaded:
        return _open(name, reason)  # the first was built on another system that has this home, perhaps


class _CannotBeLoaded(BuildError):
    """What was built is no library here; it is forgotten, so that the next call builds it again."""


def _open(name: str, reason: str) -> Choice:
    extra = BF16 if name == "avx512" and "avx512_bf16" in instructions() else ()
    try:
        path = library(name, FLAGS[name] + extra, processor())
    except BuildError:
        if not extra:
            raise
        path = library(name, FLAGS[name], processor())  # an old compiler may not know bf16
    try:
        functions = ctypes.CDLL(str(path))
        for function in map(functions.__getattr__, FUNCTIONS):
            function.restype = ctypes.c_int
        bf16 = bool(functions.backcast_has_half())
    except (OSError, AttributeError) as error:
        forget(path)
        raise _CannotBeLoaded(f"{path}: cannot be loaded: {error}") from None
    return Choice(name, reason, functions, path, bf16)
