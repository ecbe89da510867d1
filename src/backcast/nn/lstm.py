"""The LSTM that reads the sequence, and single LSTM layers that start from a given state."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from backcast.nn.embedding import Embedding


class LSTMState(NamedTuple):
    """Hidden and cell state, each (B, H)."""

    h: Tensor
    c: Tensor

    def detach(self) -> LSTMState:
        """The same state, without its gradient."""
        return LSTMState(self.h.detach(), self.c.detach())


class LSTMLayer(nn.Module):
    """One LSTM layer over (B, L, input_size), from any state, to (B, L, hidden_size)."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.hidden_size = hidden_size
        self.lstm = nn.LSTM(input_size, hidden_size, batch_first=True)

    @property
    def weights(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Input map (4H, input_size), recurrent map (4H, H), and a bias (4H,) for each; gates i, f, g, o."""
        weight_ih, weight_hh, bias_ih, bias_hh = self.lstm.all_weights[0]
        return weight_ih, weight_hh, bias_ih, bias_hh

    def zero_state(self, batch_size: int) -> LSTMState:
        zeros = self.weights[1].new_zeros(batch_size, self.hidden_size)
        return LSTMState(zeros, zeros)

    def forward(self, x: Tensor, state: LSTMState) -> tuple[Tensor, LSTMState]:
        outputs, (h, c) = self.lstm(x, (state.h[None], state.c[None]))
        return outputs, LSTMState(h[0], c[0])

    def forward_folded(
        self, x: Tensor, state: LSTMState, weight: Tensor, bias: Tensor
    ) -> tuple[Tensor, LSTMState]:
        """As `forward`, with `weight` and `bias` in place of the layer's own input map."""
        _, weight_hh, _, bias_hh = self.weights
        parameters = [weight, weight_hh, bias, bias_hh]
        outputs, h, c = torch.lstm(
            x, (state.h[None], state.c[None]), parameters,
            has_biases=True, num_layers=1, dropout=0.0, train=self.training, bidirectional=False, batch_first=True,
        )  # fmt: skip
        return outputs, LSTMState(h[0], c[0])


class EmbeddedLSTM(nn.Module):
    """Embedding, then one LSTM layer: a `RecurrentEncoder` (the paper's main LSTM, section 4).

    For real vectors on a CPU the embedding and the input map are folded into one product; on a GPU cuDNN
    wants the layer's own weights. Both compute the same thing, and a test holds them together.
    """

    def __init__(self, embedding: Embedding, hidden_size: int) -> None:
        super().__init__()
        self.embedding = embedding
        self.layer = LSTMLayer(embedding.width, hidden_size)

    @property
    def hidden_size(self) -> int:
        return self.layer.hidden_size

    def zero_state(self, batch_size: int) -> LSTMState:
        return self.layer.zero_state(batch_size)

    def forward(self, x: Tensor, state: LSTMState) -> tuple[Tensor, LSTMState]:
        """x (B, L[, C]) to outputs (B, L, H) and the state behind the last step."""
        weight, _, bias, _ = self.layer.weights
        folded = None if x.is_cuda else self.embedding.fold(weight, bias)
        if folded is None:
            return self.layer(self.embedding(x), state)
        return self.layer.forward_folded(x, state, *folded)
