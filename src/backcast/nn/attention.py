"""What the two attention networks share: the input, multi-head attention, a layer around it, and the average."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from backcast.nn.embedding import Embedding, sinusoidal_positions

WIDER = 4  # the feed-forward hidden layer's width, as a multiple of the network's
EPSILON = 1e-6  # of the norms, as in Tensor2Tensor

Attend = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Queries (B, heads, T, d), keys and values (B, heads, M, d) to (B, heads, T, d)."""


class Dropout(NamedTuple):
    """Zeroes numbers at `rate` and rescales the others, with masks from `generator`; None: changes nothing."""

    rate: float
    generator: torch.Generator | None

    def __call__(self, x: Tensor) -> Tensor:
        if self.generator is None or not self.rate:
            return x
        keep = 1.0 - self.rate
        return x * (torch.rand(x.shape, generator=self.generator, device=x.device) < keep) / keep


class Attention(nn.Module):
    """Multi-head attention (Vaswani et al. 2017, section 3.2.2). No biases, as in Tensor2Tensor."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"a width of {width} cannot be shared out among {heads} heads")
        self.heads = heads
        self.query = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width, bias=False)
        self.output = nn.Linear(width, width, bias=False)

    def forward(self, x: Tensor, memory: Tensor, attend: Attend) -> Tensor:
        """Each step of x (B, T, width) looks at the elements of `memory` (B, M, width) that `attend` lets it see."""
        attended = attend(
            self._by_head(self.query(x)), self._by_head(self.key(memory)), self._by_head(self.value(memory))
        )
        return self.output(attended.transpose(1, 2).flatten(2))

    def _by_head(self, x: Tensor) -> Tensor:
        return x.unflatten(2, (self.heads, -1)).transpose(1, 2)


class AttentionLayer(nn.Module):
    """Attention, then a feed-forward network with ReLU at each step, both as pre-norm residual branches.

    A branch is x + dropout(f(norm(x))); another dropout follows the ReLU. There is none on the attention
    weights, where Tensor2Tensor has 0.1: on a CPU torch would store all T × M of them for it.

    shorten  maps (B, T, width) to the (B, M, width) that is attended to; None: the steps themselves
    """

    def __init__(self, width: int, heads: int, shorten: nn.Module | None = None) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(width, EPSILON)
        self.attention = Attention(width, heads)
        self.shorten = shorten
        self.forward_norm = nn.LayerNorm(width, EPSILON)
        self.first = nn.Linear(width, WIDER * width)
        self.last = nn.Linear(WIDER * width, width)

    def forward(self, x: Tensor, attend: Attend, dropout: Dropout) -> Tensor:
        """x (B, T, width) to the same shape."""
        normed = self.attention_norm(x)
        memory = normed if self.shorten is None else self.shorten(normed)
        x = x + dropout(self.attention(normed, memory, attend))
        hidden = dropout(F.relu(self.first(self.forward_norm(x))))
        return x + dropout(self.last(hidden))


def embed(embedding: Embedding, x: Tensor, dropout: Dropout) -> Tensor:
    """x (B, T[, C]) embedded, plus the timing signal (Vaswani et al. 2017, section 3.5): (B, T, width).

    Tensor2Tensor starts a table with a deviation of 1/√width and multiplies it by √width; what a linear map makes
    of real vectors is not multiplied. Our table starts with a deviation of 1, so nothing is multiplied.
    """
    embedded = embedding(x)
    exact = torch.promote_types(embedded.dtype, torch.float32)  # bf16 is too coarse for positions
    places = torch.arange(x.shape[1], device=x.device)
    return dropout(embedded + sinusoidal_positions(places, embedding.width, exact))


def average(outputs: Tensor, lengths: NDArray[np.int64]) -> Tensor:
    """The mean of outputs (B, T, width) over each row's own `lengths` (B,) >= 1 steps: (B, width)."""
    counts = torch.from_numpy(lengths).to(outputs.device)[:, None]
    behind = torch.arange(outputs.shape[1], device=outputs.device) >= counts
    return outputs.masked_fill(behind[..., None], 0.0).sum(dim=1) / counts
