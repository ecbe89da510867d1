"""What an element of a sequence looks like to a network."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Embedding(nn.Module):
    """Elements to vectors of `width`: a table for symbols, a linear map for real vectors (section 4).

    symbols         the number of symbols, or 0 for real vectors
    channels        numbers in an element; 1 for symbols
    embedding_size  128 in the paper; 0 leaves the input as it is (symbols: one-hot), the ablation's
                    "project input" off
    """

    def __init__(self, symbols: int, channels: int, embedding_size: int) -> None:
        super().__init__()
        self.symbols = symbols
        self.channels = channels
        self.width = embedding_size or symbols or channels
        self.map: nn.Embedding | nn.Linear | None = None
        if embedding_size and symbols:
            self.map = nn.Embedding(symbols, embedding_size)
        elif embedding_size:
            self.map = nn.Linear(channels, embedding_size)

    def forward(self, x: Tensor) -> Tensor:
        """(B, L) int64 symbols or (B, L, C) real vectors to (B, L, width)."""
        if self.map is not None:
            return self.map(x)
        return F.one_hot(x, self.symbols).to(torch.get_default_dtype()) if self.symbols else x

    def fold(self, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor] | None:
        """The linear map `weight`·embed(x) + `bias` as one map of x, where there is one.

        For pixels that is a product with 1 or 3 columns in place of one with 128.
        """
        if not isinstance(self.map, nn.Linear):
            return None
        return weight @ self.map.weight, bias + weight @ self.map.bias
