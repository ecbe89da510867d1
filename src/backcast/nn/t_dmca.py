"""T-DMCA, a Transformer decoder for long rows: local attention alternates with attention to a compressed memory."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from backcast.nn.attention import EPSILON, AttentionLayer, Dropout, average, embed
from backcast.nn.embedding import Embedding

GROUP = 3  # steps that become one element of the memory


class TDMCAEncoder(nn.Module):
    """Liu et al. 2018 (section 4.2.3), as a network that reads: no step sees a later one.

    The layers are local, compressed, local, ...: five in that article, whose experts are left out. We keep the
    five: with as many parameters as the paper's LSTM the network is then 44 wide; with three it would be 56
    wide and look beyond a block only once. Memory grows with the length of the rows, not with its square. How
    the paper's authors configured theirs is not stated.

    embedding  its width is the network's. Raises ValueError where that is not a multiple of `heads`
    block      steps in a block of a local layer; each sees those of its block up to itself
    dropout    on the input, the branches and after the ReLU
    """

    def __init__(
        self, embedding: Embedding, layers: int = 5, heads: int = 4, block: int = 256, dropout: float = 0.1
    ) -> None:
        super().__init__()
        width = embedding.width
        self.block = block
        self.dropout = dropout
        self.embedding = embedding
        self.layers = nn.ModuleList(
            AttentionLayer(width, heads, Compression(width) if place % 2 else None) for place in range(layers)
        )
        self.norm = nn.LayerNorm(width, EPSILON)

    @property
    def output_size(self) -> int:
        return self.embedding.width

    def forward(
        self, x: Tensor, lengths: NDArray[np.int64], generator: torch.Generator | None = None
    ) -> Tensor:
        """The average (B, output_size) of each row's outputs over its `lengths` (B,) >= 1 steps; else as `outputs`."""
        return average(self.outputs(x, generator), lengths)

    def outputs(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """The outputs at every step, (B, T, output_size). Padding needs no mask: it comes after a row's steps.

        x          (B, T, C) real vectors or (B, T) int64 symbols
        generator  of the dropout masks, on x's device; None: no dropout
        """
        dropout = Dropout(self.dropout, generator)
        local = partial(local_attention, block=self.block)
        hidden = embed(self.embedding, x, dropout)
        for place, layer in enumerate(self.layers):
            hidden = layer(hidden, compressed_attention if place % 2 else local, dropout)
        return self.norm(hidden)


class Compression(nn.Module):
    """The memory: the first step as it is, then one element per complete group of three steps.

    One convolution comes before the maps to keys and values, as in Tensor2Tensor; the article has one after
    each. The first step is put in front, as there, so that steps 0 and 1 see something.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(width, width, kernel_size=GROUP, stride=GROUP)

    def forward(self, x: Tensor) -> Tensor:
        """x (B, T, width) to (B, 1 + T // 3, width)."""
        if x.shape[1] < GROUP:
            return x[:, :1]
        compressed = self.convolution(x.transpose(1, 2)).transpose(1, 2)
        return torch.cat([x[:, :1], compressed], dim=1)


def local_attention(queries: Tensor, keys: Tensor, values: Tensor, block: int) -> Tensor:
    """Attention within blocks of `block` steps, of each step to those up to itself. All (B, heads, T, d)."""
    steps = queries.shape[2]
    block = min(block, steps)
    behind = -steps % block  # padding, which no step of the row sees

    def in_blocks(x: Tensor) -> Tensor:
        return F.pad(x, (0, 0, 0, behind)).unflatten(2, (-1, block)).flatten(1, 2)

    attended = F.scaled_dot_product_attention(
        in_blocks(queries), in_blocks(keys), in_blocks(values), is_causal=True
    )
    return attended.unflatten(1, (queries.shape[1], -1)).flatten(2, 3)[:, :, :steps]


def compressed_attention(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Attention of each step to those elements of a `Compression` that are made of steps up to its own, without a mask.

    Step t sees elements 0 .. (t + 1) // 3, so every third step sees one element more than the step before it.
    Grouped by the remainder of t + 1, the steps form three causal attentions, each with as many queries as elements.
    (In Tensor2Tensor the last step of a group does not see the group's element.)

    queries       (B, heads, T, d)
    keys, values  (B, heads, 1 + T // 3, d)
    """
    heads, steps = queries.shape[1:3]
    groups = keys.shape[2]
    padded = F.pad(queries, (0, 0, 1, GROUP * groups - steps - 1))  # one in front, for the + 1
    by_remainder = padded.unflatten(2, (groups, GROUP)).transpose(2, 3).flatten(1, 2)

    def repeated(x: Tensor) -> Tensor:
        return x[:, :, None].expand(-1, -1, GROUP, -1, -1).flatten(1, 2)

    attended = F.scaled_dot_product_attention(by_remainder, repeated(keys), repeated(values), is_causal=True)
    in_order = attended.unflatten(1, (heads, GROUP)).transpose(2, 3).flatten(2, 3)
    return in_order[:, :, 1 : steps + 1]
