"""The Transformer encoder, the paper's rival in which every step sees every step."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from backcast.nn.attention import EPSILON, AttentionLayer, Dropout, average, embed
from backcast.nn.embedding import Embedding


class TransformerEncoder(nn.Module):
    """Vaswani et al. 2017 as Tensor2Tensor has it by default: pre-norm, with one more norm after the last layer.

    Table 3 of the paper compares with Tensor2Tensor's, whose size is not stated. Layers and heads are
    those of `transformer_small`; `width_like` chooses the width. No dropout on attention weights.

    embedding  its width is the network's. Raises ValueError where that is not a multiple of `heads`
    dropout    on the input, the branches and after the ReLU
    """

    def __init__(self, embedding: Embedding, layers: int = 2, heads: int = 4, dropout: float = 0.1) -> None:
        super().__init__()
        self.dropout = dropout
        self.embedding = embedding
        self.layers = nn.ModuleList(AttentionLayer(embedding.width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(embedding.width, EPSILON)

    @property
    def output_size(self) -> int:
        return self.embedding.width

    def forward(
        self, x: Tensor, lengths: NDArray[np.int64], generator: torch.Generator | None = None
    ) -> Tensor:
        """The average of each row's outputs, (B, output_size). Arguments as for `outputs`."""
        return average(self.outputs(x, lengths, generator), lengths)

    def outputs(
        self, x: Tensor, lengths: NDArray[np.int64], generator: torch.Generator | None = None
    ) -> Tensor:
        """The outputs at every step, (B, T, output_size); those past a row's end mean nothing.

        x          (B, T, C) real vectors or (B, T) int64 symbols
        lengths    (B,) 1 .. T
        generator  of the dropout masks, on x's device; None: no dropout
        """
        dropout = Dropout(self.dropout, generator)
        attend = partial(F.scaled_dot_product_attention, attn_mask=_own_steps(x, lengths))
        hidden = embed(self.embedding, x, dropout)
        for layer in self.layers:
            hidden = layer(hidden, attend, dropout)
        return self.norm(hidden)


def _own_steps(x: Tensor, lengths: NDArray[np.int64]) -> Tensor | None:
    """Which steps are not padding, (B, 1, 1, T); None where there is no padding: attention is faster without a mask."""
    steps = x.shape[1]
    if (lengths == steps).all():
        return None
    ends = torch.from_numpy(lengths).to(x.device)
    return (torch.arange(steps, device=x.device) < ends[:, None])[:, None, None]
