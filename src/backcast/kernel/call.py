"""Tensors to C structures, and calls of the library."""

from __future__ import annotations

import ctypes
from typing import Any

import torch
from torch import Tensor

from backcast.kernel.library import choice

Integer = ctypes.c_int64
Pointer = ctypes.c_void_p


def usable(*tensors: Tensor) -> bool:
    """Can the kernel work on these: is there one, are they float32 (or symbols) on the CPU, and is autocast off?"""
    return (
        all(part.device.type == "cpu" and part.dtype in (torch.float32, torch.int64) for part in tensors)
        and not torch.is_autocast_enabled("cpu")
        and choice().functions is not None
    )


def fields(integers: str, pointers: str) -> list[tuple[str, Any]]:
    """The fields of a structure: int64 first, then pointers; names separated by spaces."""
    return [(name, Integer) for name in integers.split()] + [(name, Pointer) for name in pointers.split()]


def addresses(*tensors: Tensor | None) -> list[int | None]:
    """The tensors' addresses. The tensors must be dense, and stay alive as long as these are in use."""
    return [None if tensor is None else tensor.data_ptr() for tensor in tensors]


def threads_for(rows: int) -> int:
    """As many threads as PyTorch would use, but no more than there are rows."""
    return max(1, min(torch.get_num_threads(), rows))


def functions() -> ctypes.CDLL:
    """The library in use, where `usable` says that there is one."""
    found = choice().functions
    assert found is not None
    return found


def run(function: Any, *structures: ctypes.Structure) -> None:
    """Calls a function of the library on `structures`. Raises MemoryError where it cannot allocate what it needs."""
    if function(*map(ctypes.byref, structures)):
        raise MemoryError("out of memory in the recurrence kernel")


def require_symbols(x: Tensor, count: int) -> None:
    """Raises TypeError or IndexError where x holds anything but symbols, which the kernel does not check."""
    if x.dtype != torch.int64:
        raise TypeError(f"symbols must be int64, not {x.dtype}")
    if x.numel() and not 0 <= int(x.min()) <= int(x.max()) < count:
        raise IndexError(f"symbols must be 0 .. {count - 1}, not {int(x.min())} .. {int(x.max())}")


def require_layer(
    name: str, maps: tuple[Tensor | None, Tensor, Tensor], hidden: int, inputs: int | None
) -> None:
    """Raises ValueError where a layer's input map, recurrent map and base do not fit together; `name` goes before theirs.

    inputs  the numbers in an element; None: symbols, whose base is a table and which need no input map
    """
    input_map, recurrent_map, base = maps
    if inputs is not None:
        assert input_map is not None, "symbols alone need none"
        require_shape(f"{name}input_map", input_map, (4 * hidden, inputs))
    require_shape(f"{name}recurrent_map", recurrent_map, (4 * hidden, hidden))
    require_shape(f"{name}base", base, (4 * hidden,) if inputs is not None else (len(base), 4 * hidden))


def require_shape(name: str, tensor: Tensor, shape: tuple[int, ...]) -> None:
    """Raises ValueError where a tensor is not what the kernel would take it to be: float32, of this shape."""
    if tuple(tensor.shape) != shape or tensor.dtype != torch.float32:
        raise ValueError(f"{name} must be float32 {shape}, not {tensor.dtype} {tuple(tensor.shape)}")
