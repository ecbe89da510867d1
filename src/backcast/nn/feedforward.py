"""The feed-forward network that classifies, and that turns a decoder's outputs into elements."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from backcast import kernel

FEWEST_ROWS, FEWEST_OUTPUTS = 256, 32  # for the kernel: it packs the weights at each call, in blocks of 64


class FeedForward(nn.Module):
    """Two hidden layers with ReLU, then a linear map; DropConnect on the second layer's weights.

    The paper (section 4): widths (256, 256, outputs), DropConnect 0.5 on the second; ReLU is not stated.
    DropConnect (Wan et al. 2013) sets weights to zero at random and rescales the others; one mask per training step.
    """

    def __init__(self, input_size: int, hidden_size: int, output_size: int, dropconnect: float) -> None:
        super().__init__()
        self.dropconnect = dropconnect
        self.first = nn.Linear(input_size, hidden_size)
        self.second = nn.Linear(hidden_size, hidden_size)
        self.last = nn.Linear(hidden_size, output_size)

    def drop(self, generator: torch.Generator) -> Tensor:
        """The second layer's weights under a mask from `generator`, for `forward`; in evaluation, all of them."""
        weight = self.second.weight
        if not self.dropconnect or not self.training:
            return weight
        keep = 1.0 - self.dropconnect
        mask = torch.rand(weight.shape, generator=generator, device=weight.device) < keep
        return weight * mask / keep

    def forward(self, x: Tensor, second_weight: Tensor | None = None) -> Tensor:
        """x (..., input_size) to (..., output_size); `second_weight` from `drop` in training, else None."""
        weight = self.second.weight if second_weight is None else second_weight
        x = _linear_relu(x, self.first.weight, self.first.bias)
        x = _linear_relu(x, weight, self.second.bias)
        return self.last(x)


def _linear_relu(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Linear map and ReLU, by our kernel where it pays: for many rows and not too few outputs."""
    many = x.numel() >= FEWEST_ROWS * x.shape[-1] and len(bias) >= FEWEST_OUTPUTS
    if many and kernel.usable(x, weight):
        return kernel.dense(x, weight, bias, relu=True)
    return F.relu(F.linear(x, weight, bias))
