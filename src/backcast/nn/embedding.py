"""What an element of a sequence, and its place, look like to a network."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from backcast import kernel


class InputMap(NamedTuple):
    """What an element adds to the 4H gate units of a layer.

    weight  (4H, C) for real vectors; None for symbols
    base    (4H,), added at every step; for symbols (symbols, 4H), one for each
    """

    weight: Tensor | None
    base: Tensor


class Embedding(nn.Module):
    """Elements to vectors of `width`: a table for symbols, a linear map for real vectors (section 4).

    symbols         the number of symbols, or 0 for real vectors
    channels        numbers in an element; 1 for symbols
    embedding_size  128 in the paper; 0 leaves the input as it is (symbols: one-hot), the ablation's
                    "project input" off
    """

    one: Tensor

    def __init__(self, symbols: int, channels: int, embedding_size: int) -> None:
        super().__init__()
        self.symbols = symbols
        self.channels = channels
        self.width = embedding_size or symbols or channels
        self.map: nn.Embedding | nn.Linear | None = None
        self.register_buffer("one", torch.ones(()), persistent=False)  # follows the network's precision
        if embedding_size and symbols:
            self.map = nn.Embedding(symbols, embedding_size)
        elif embedding_size:
            self.map = nn.Linear(channels, embedding_size)

    def forward(self, x: Tensor) -> Tensor:
        """(B, L) int64 symbols or (B, L, C) real vectors to (B, L, width)."""
        if self.map is not None:
            return self.map(x)
        return F.one_hot(x, self.symbols).to(self.one.dtype) if self.symbols else x

    def folded(self, weight: Tensor, bias: Tensor) -> InputMap | None:
        """The linear map `weight`·embed(x) + `bias` as one map of x; None for real vectors that are left as they are.

        For pixels that is a product with 1 or 3 columns instead of 128, for symbols a table.
        """
        if isinstance(self.map, nn.Linear):
            return InputMap(weight @ self.map.weight, bias + weight @ self.map.bias)
        if self.symbols:
            vectors = weight.T if self.map is None else self.map.weight @ weight.T
            return InputMap(None, vectors + bias)
        return None

    def fold(self, weight: Tensor, bias: Tensor, x: Tensor) -> InputMap | None:
        """`folded`, where that is cheaper for x (B, L[, C]).

        Only our kernel reads tables, and a table of more symbols than x has elements costs more than it saves. On a
        GPU nothing is folded: cuDNN wants a layer's own weights.
        """
        if x.is_cuda:
            return None
        if self.symbols and not (x.numel() >= self.symbols and kernel.usable(x, weight)):
            return None
        return self.folded(weight, bias)


def sinusoidal_positions(places: Tensor, width: int, dtype: torch.dtype) -> Tensor:
    """Positions (...,) as sines and cosines (..., width), as Vaswani et al. 2017 encode them."""
    half = (width + 1) // 2
    rates = torch.exp(torch.arange(half, device=places.device, dtype=dtype) * (-math.log(10_000.0) / half))
    angles = places[..., None] * rates
    return torch.cat([angles.sin(), angles.cos()], dim=-1)[..., :width]
