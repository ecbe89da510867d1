"""A loss over a long sequence, one chunk at a time: each chunk's graph is freed before the next one is made.

A loss that is a sum can be differentiated summand by summand. Doing so at once, and keeping only the gradients,
needs memory for one chunk, however many there are; the trainer sees an ordinary loss with a gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


def sum_of_chunks(network: nn.Module, chunks: Callable[[], Iterator[Tensor]]) -> Tensor:
    """The sum of the scalars that `chunks` yields, with its gradient in the parameters of `network`, if any needs one.

    No chunk may need another's graph: what is carried from one to the next must be detached.
    """
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    if not (parameters and torch.is_grad_enabled()):
        with torch.no_grad():
            return torch.stack([*chunks()]).sum()
    total: Tensor = _SumOfChunks.apply(chunks, *parameters)
    return total


class _SumOfChunks(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, chunks: Callable[[], Iterator[Tensor]], *parameters: Tensor) -> Tensor:
        total = parameters[0].new_zeros(())
        gradients = [torch.zeros_like(parameter) for parameter in parameters]
        with torch.enable_grad():
            for loss in chunks():
                found = torch.autograd.grad(loss, parameters, allow_unused=True)
                total += loss.detach()
                for sum_, part in zip(gradients, found, strict=True):
                    if part is not None:
                        sum_ += part
        ctx.save_for_backward(*gradients)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_total: Tensor) -> Any:
        return None, *(d_total * gradient for gradient in ctx.saved_tensors)
