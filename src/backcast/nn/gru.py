"""A gated recurrent unit in place of the LSTM: the method does not depend on the network (ours)."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn

from backcast.nn.embedding import Embedding


class GRUState(NamedTuple):
    """Hidden state (B, H)."""

    h: Tensor


class EmbeddedGRU(nn.Module):
    """Embedding, then one GRU layer (Cho et al. 2014): a `RecurrentEncoder`. Not in the paper."""

    def __init__(self, embedding: Embedding, hidden_size: int) -> None:
        super().__init__()
        self.embedding = embedding
        self.gru = nn.GRU(embedding.width, hidden_size, batch_first=True)

    @property
    def output_size(self) -> int:
        return self.gru.hidden_size

    def zero_state(self, batch_size: int) -> GRUState:
        return GRUState(self.gru.all_weights[0][1].new_zeros(batch_size, self.gru.hidden_size))

    def forward(self, x: Tensor, state: GRUState) -> tuple[Tensor, GRUState]:
        """x (N, L[, C]) to outputs (N, L, H) and the state after the last step."""
        outputs, h = self.gru(self.embedding(x), state.h[None])
        return outputs, GRUState(h[0])
