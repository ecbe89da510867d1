"""The iRNN: ReLU units whose recurrent weights start as the identity (Le, Jaitly, Hinton 2015)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from backcast.nn.embedding import Embedding


class IRNNState(NamedTuple):
    """Hidden state (B, H)."""

    h: Tensor


class EmbeddedIRNN(nn.Module):
    """Embedding, then one layer of ReLU units: a `RecurrentEncoder`.

    Le et al. feed pixels without an embedding: `--embedding-size 0`.
    """

    def __init__(self, embedding: Embedding, hidden_size: int) -> None:
        super().__init__()
        self.embedding = embedding
        self.rnn = nn.RNN(embedding.width, hidden_size, nonlinearity="relu", batch_first=True)

    @property
    def output_size(self) -> int:
        return self.rnn.hidden_size

    def zero_state(self, batch_size: int) -> IRNNState:
        return IRNNState(self.rnn.all_weights[0][1].new_zeros(batch_size, self.rnn.hidden_size))

    def forward(self, x: Tensor, state: IRNNState) -> tuple[Tensor, IRNNState]:
        """x (N, L[, C]) to outputs (N, L, H) and the state after the last step."""
        outputs, h = self.rnn(self.embedding(x), state.h[None])
        return outputs, IRNNState(h[0])

    def initial_weights(self, name: str, shape: torch.Size, generator: torch.Generator) -> Tensor | None:
        """Identity recurrence, zero biases, input weights of standard deviation 0.001 (their section 3)."""
        if name == "rnn.weight_hh_l0":
            return torch.eye(shape[0])
        if name == "rnn.weight_ih_l0":
            return torch.empty(shape).normal_(std=1e-3, generator=generator)
        return torch.zeros(shape) if name.startswith("rnn.bias") else None
