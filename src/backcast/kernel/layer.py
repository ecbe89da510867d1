"""The kernel as PyTorch sees it: a layer with gradients, and a sweep without."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd.function import once_differentiable

from backcast.kernel.call import (
    addresses,
    fields,
    functions,
    require_layer,
    require_shape,
    require_symbols,
    run,
    threads_for,
)

WIDEST = 16  # floats in the longest vector of any kernel


class _Call(ctypes.Structure):
    _fields_ = [
        *fields("threads rows steps inputs hidden symbols", "x"),
        *fields("x_row x_step", "ids lengths input_map recurrent_map base h0 c0"),
    ]


class _Forward(ctypes.Structure):
    _fields_ = fields("", "h c outputs gates cells")


class _Backward(ctypes.Structure):
    _fields_ = fields(
        "", "outputs gates cells d_h d_c d_outputs d_x d_input_map d_recurrent_map d_base d_h0 d_c0"
    )


class _Kept(ctypes.Structure):
    _fields_ = fields("bf16", "first steps places h c")


def lstm(
    x: Tensor,
    lengths: NDArray[np.int64] | None,
    input_map: Tensor | None,
    recurrent_map: Tensor,
    base: Tensor,
    h: Tensor,
    c: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """What `reference.lstm` computes, with gradients for everything but symbols; `lengths` None: all steps."""
    floats = (x, input_map, recurrent_map, base, h, c)
    keep = torch.is_grad_enabled() and any(part is not None and part.requires_grad for part in floats)
    ends = None if lengths is None else torch.from_numpy(np.array(lengths, dtype=np.int64))
    return _LSTM.apply(x, ends, input_map, recurrent_map, base, h, c, keep)


def sweep(
    x: Tensor,
    steps: NDArray[np.int64],
    input_map: Tensor | None,
    recurrent_map: Tensor,
    base: Tensor,
    h: Tensor,
    c: Tensor,
    bf16: bool = False,
) -> tuple[Tensor, Tensor]:
    """The states of each row of x (N, T[, I]) after its own `steps` (N, m), 0 .. T: h and c (N·m, H), no graph.

    Each row is read up to its largest step; nothing else is stored. `bf16`: the products with the state are in
    bf16 and their sums in float32, where the processor has an instruction for that; otherwise it has no effect.
    """
    rows, wanted = steps.shape
    steps = steps.astype(np.int64)
    order = np.argsort(steps, axis=1, kind="stable")
    first = np.arange(rows + 1, dtype=np.int64) * wanted
    places = np.ascontiguousarray(order + first[:-1, None])
    in_order = np.ascontiguousarray(np.take_along_axis(steps, order, axis=1))
    lengths = torch.from_numpy(steps.max(axis=1))
    call, alive = _call(x, lengths, input_map, recurrent_map, base, h, c)
    kept_h, kept_c = (h.new_empty(rows * wanted, h.shape[1]) for _ in range(2))
    kept = _Kept(
        bf16,
        first.ctypes.data,
        in_order.ctypes.data,
        places.ctypes.data,
        kept_h.data_ptr(),
        kept_c.data_ptr(),
    )
    run(functions().backcast_sweep, call, kept)
    del alive
    return kept_h, kept_c


class _LSTM(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        lengths: Tensor | None,
        input_map: Tensor | None,
        recurrent_map: Tensor,
        base: Tensor,
        h: Tensor,
        c: Tensor,
        keep: bool,
    ) -> tuple[Tensor, Tensor, Tensor]:
        call, alive = _call(x, lengths, input_map, recurrent_map, base, h, c)
        rows, steps, hidden = call.rows, call.steps, call.hidden
        outputs = h.new_empty(rows, steps, hidden) if lengths is None else h.new_zeros(rows, steps, hidden)
        last_h, last_c = h.new_empty(h.shape), c.new_empty(c.shape)
        padded = -(-hidden // WIDEST) * WIDEST
        gates = h.new_empty(steps * rows * 4 * padded if keep else 0)
        cells = h.new_empty(steps * rows * padded if keep else 0)
        library = functions()
        run(
            library.backcast_forward,
            call,
            _Forward(*addresses(last_h, last_c, outputs, *((gates, cells) if keep else (None, None)))),
        )
        if keep:
            ctx.save_for_backward(*alive, outputs, gates, cells)
            ctx.threads, ctx.library = call.threads, library
            ctx.set_materialize_grads(False)
        return outputs, last_h, last_c

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_outputs: Tensor | None, d_h: Tensor | None, d_c: Tensor | None) -> Any:
        *read, outputs, gates, cells = ctx.saved_tensors
        call, alive = _call(*read)
        call.threads = ctx.threads  # what was kept is laid out by thread, and by the kernel's vector width
        x, _, *others = read
        given = [None if part is None else part.contiguous() for part in (d_h, d_c, d_outputs)]
        d_x = x.new_zeros(x.shape) if ctx.needs_input_grad[0] else None
        wanted = [None if part is None else part.new_empty(part.shape) for part in others]
        run(
            ctx.library.backcast_backward,
            call,
            _Backward(*addresses(outputs, gates, cells, *given, d_x, *wanted)),
        )
        del alive
        return d_x, None, *wanted, None


def _call(
    x: Tensor,
    lengths: Tensor | None,
    input_map: Tensor | None,
    recurrent_map: Tensor,
    base: Tensor,
    h: Tensor,
    c: Tensor,
) -> tuple[Any, tuple[Tensor | None, ...]]:
    """The structure that the kernel reads, and the tensors it points to, which must stay alive while it is in use."""
    symbols = x.ndim == 2
    rows, steps = x.shape[:2]
    hidden = h.shape[-1]
    if symbols:
        require_symbols(x, len(base))
    else:
        require_shape("x", x, (rows, steps, x.shape[2]))
    require_layer("", (input_map, recurrent_map, base), hidden, None if symbols else x.shape[2])
    require_shape("h", h, (rows, hidden))
    require_shape("c", c, (rows, hidden))
    if lengths is not None and (
        lengths.dtype != torch.int64
        or lengths.shape != (rows,)
        or (rows and not 0 <= int(lengths.min()) <= int(lengths.max()) <= steps)
    ):
        raise ValueError(f"lengths must be {rows} numbers, 0 .. {steps}")
    if x.numel() and x.stride(-1) != 1:
        x = x.contiguous()
    dense = [
        None if part is None else part.contiguous()
        for part in (lengths, input_map, recurrent_map, base, h, c)
    ]
    counts = (
        threads_for(rows),
        rows,
        steps,
        0 if symbols else x.shape[2],
        hidden,
        len(base) if symbols else 0,
    )
    elements = None if symbols else x.data_ptr(), x.stride(0), x.stride(1), x.data_ptr() if symbols else None
    return _Call(*counts, *elements, *addresses(*dense)), (x, *dense)
