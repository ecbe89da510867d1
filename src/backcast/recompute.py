"""Exact full BPTT in memory of the square root of the length (Chen et al. 2016), at the cost of one more sweep.

A sweep without a graph keeps the states at the borders of √T pieces. The backward pass takes the pieces from the
last to the first: it runs each again from its border, now with a graph, and passes the gradient of the state there to
the piece before.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from backcast.batch import Batch
from backcast.sweep import like, sweep


def recomputed_outputs(encoder: nn.Module, batch: Batch) -> Tensor:
    """The encoder's output at each row's own last step (B, H), with the gradient of full BPTT for its parameters."""
    parameters = [parameter for parameter in encoder.parameters() if parameter.requires_grad]
    output: Tensor = _RecomputedOutputs.apply(encoder, batch, *parameters)
    return output


class _RecomputedOutputs(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, encoder: Any, batch: Batch, *parameters: Tensor) -> Tensor:
        last = batch.lengths[:, None] - 1
        piece = math.isqrt(int(last.max())) + 1
        borders = np.arange(0, int(last.max()) + 1, piece)
        steps = np.concatenate([np.minimum(borders, last), last], axis=1)
        states = sweep(encoder, batch, steps)
        by_step = [part.unflatten(0, steps.shape) for part in states]
        ctx.save_for_backward(*parameters, *[part[:, :-1] for part in by_step])
        ctx.encoder, ctx.batch, ctx.count = encoder, batch, len(parameters)
        ctx.bf16 = torch.is_autocast_enabled(batch.device.type)
        ctx.borders, ctx.piece, ctx.make_state = borders, piece, lambda parts: like(states, parts)
        ends = [part[:, -1].contiguous() for part in by_step]  # cuDNN takes nothing else
        outputs, _ = encoder(batch.take(last[:, :, None]), ctx.make_state(ends))
        return outputs[:, 0]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_output: Tensor) -> Any:
        batch, last = ctx.batch, ctx.batch.lengths - 1
        parameters, states = ctx.saved_tensors[: ctx.count], ctx.saved_tensors[ctx.count :]
        totals = [torch.zeros_like(parameter) for parameter in parameters]
        d_state = [torch.zeros_like(part[:, 0]) for part in states]
        for number in reversed(range(len(ctx.borders))):
            start = int(ctx.borders[number])
            stop = min(start + ctx.piece, int(last.max()) + 1)
            ending = np.flatnonzero((last >= start) & (last < stop))
            rows = torch.from_numpy(ending).to(batch.device)
            places = torch.from_numpy(last[ending] - start).to(batch.device)
            autocast = torch.autocast(
                batch.device.type, dtype=torch.bfloat16, enabled=ctx.bf16, cache_enabled=False
            )
            with torch.enable_grad(), autocast:
                border = [part[:, number].detach().contiguous().requires_grad_() for part in states]
                outputs, state = ctx.encoder(batch.slice(start, stop), ctx.make_state(border))
                ends = [outputs[rows, places], *state]
            given = [d_output[rows], *d_state]
            found = torch.autograd.grad(ends, [*parameters, *border], given, allow_unused=True)
            for total, part in zip(totals, found[: len(totals)], strict=True):
                if part is not None:
                    total += part
            d_state = [torch.zeros_like(part) if part is None else part for part in found[len(totals) :]]
        return None, None, *totals
