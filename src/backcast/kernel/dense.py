"""A linear map, then max(·, 0) where asked, by the kernel."""

from __future__ import annotations

import ctypes
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from backcast.kernel.call import addresses, fields, functions, require_shape, run, threads_for

ROWS_A_THREAD = 96  # fewer are not worth a thread


class _Dense(ctypes.Structure):
    _fields_ = fields("threads rows inputs outputs relu", "x weight bias")


class _Output(ctypes.Structure):
    _fields_ = fields("", "y")


class _Backward(ctypes.Structure):
    _fields_ = fields("", "y d_y d_x d_weight d_bias")


def dense(x: Tensor, weight: Tensor, bias: Tensor, relu: bool) -> Tensor:
    """x (..., I) · weightᵀ (O, I) + bias (O,), clamped at 0 from below if `relu`: (..., O), with gradients.

    All float32; raises ValueError for other shapes.
    """
    outputs = len(weight)
    require_shape("x", x, (*x.shape[:-1], weight.shape[-1]))
    require_shape("weight", weight, (outputs, weight.shape[-1]))
    require_shape("bias", bias, (outputs,))
    return _DenseFunction.apply(x.reshape(-1, x.shape[-1]), weight, bias, relu).reshape(
        *x.shape[:-1], outputs
    )


class _DenseFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, relu: bool) -> Tensor:
        x, weight, bias = x.contiguous(), weight.contiguous(), bias.contiguous()
        y = x.new_empty(len(x), len(bias))
        library = functions()
        run(library.backcast_dense, _call(x, weight, bias, relu), _Output(*addresses(y)))
        ctx.save_for_backward(x, weight, bias, y)
        ctx.relu, ctx.library = relu, library
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_y: Tensor) -> Any:
        x, weight, bias, y = ctx.saved_tensors
        d_y = d_y.contiguous()
        d_x = torch.empty_like(x) if ctx.needs_input_grad[0] else None
        d_weight, d_bias = torch.empty_like(weight), torch.empty_like(bias)
        wanted = _Backward(*addresses(y, d_y, d_x, d_weight, d_bias))
        run(ctx.library.backcast_dense_backward, _call(x, weight, bias, ctx.relu), wanted)
        return d_x, d_weight, d_bias, None


def _call(x: Tensor, weight: Tensor, bias: Tensor, relu: bool) -> Any:
    threads = threads_for(-(-len(x) // ROWS_A_THREAD))
    return _Dense(threads, len(x), x.shape[1], len(bias), relu, *addresses(x, weight, bias))
