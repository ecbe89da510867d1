"""The LSTM that reads the sequence, and single LSTM layers that start from a given state."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from backcast import kernel
from backcast.errors import InputError
from backcast.nn.embedding import Embedding, InputMap

FEWEST_STEPS = 8  # for the kernel, which packs the weights at each call
LARGEST_TABLE = 4096  # symbols of a stream's network: 8 MB at 128 cells


class LSTMState(NamedTuple):
    """Hidden and cell state, each (B, H)."""

    h: Tensor
    c: Tensor

    def detach(self) -> LSTMState:
        """The same state, without its gradient."""
        return LSTMState(self.h.detach(), self.c.detach())


class LSTMLayer(nn.Module):
    """One LSTM layer over (N, L, input_size), from any state, to (N, L, hidden_size).

    On a CPU, in float32 and for more than a few steps, it is computed by our kernel where there is one
    (`backcast doctor` says so), else by `nn.LSTM`, whose parameters it has.
    """

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

    def fold(self, embedding: Embedding, x: Tensor) -> InputMap | None:
        """`embedding` and the layer's own input map as one map of x, where there is such a map and it is cheaper."""
        weight, _, bias_ih, bias_hh = self.weights
        return embedding.fold(weight, bias_ih + bias_hh, x)

    def maps(self, folded: InputMap | None = None) -> kernel.Maps:
        """The weights as the kernel takes them; `folded` replaces the layer's own input map."""
        weight, recurrent, bias_ih, bias_hh = self.weights
        input_map, base = folded or InputMap(weight, bias_ih + bias_hh)
        return kernel.Maps(input_map, recurrent, base)

    def forward(
        self,
        x: Tensor,
        state: LSTMState,
        folded: InputMap | None = None,
        lengths: NDArray[np.int64] | None = None,
    ) -> tuple[Tensor, LSTMState]:
        """Outputs (N, L, H), and the state after the last step.

        x        (N, L, input_size); with `folded`, which replaces the layer's own input map, the input of that map:
                 (N, L, C) or (N, L)
        lengths  (N,) 0 .. L: the state is that after each row's own last step. Needs the kernel
        """
        recurrent = self.weights[1]
        table = folded is not None and folded.weight is None  # which only the kernel reads
        worth_it = not 0 < x.shape[1] < FEWEST_STEPS or table or lengths is not None
        if worth_it and kernel.usable(x, recurrent, *state):
            outputs, h, c = kernel.lstm(x, lengths, *self.maps(folded), *state)
            return outputs, LSTMState(h, c)
        assert lengths is None and not table, "only the kernel takes lengths and tables"
        carried = (state.h[None], state.c[None])
        if folded is None:
            outputs, (h, c) = self.lstm(x, carried)
        else:
            assert folded.weight is not None
            outputs, h, c = torch.lstm(
                x, carried, [folded.weight, recurrent, folded.base, torch.zeros_like(folded.base)],
                has_biases=True, num_layers=1, dropout=0.0, train=self.training, bidirectional=False, batch_first=True,
            )  # fmt: skip
        return outputs, LSTMState(h[0], c[0])


class EmbeddedLSTM(nn.Module):
    """Embedding, then one LSTM layer: a `RecurrentEncoder` (the paper's main LSTM, section 4).

    On a CPU the embedding and the input map are folded into one where that is cheaper; on a GPU cuDNN wants the layer's own weights.
    Both compute the same thing, as a test ensures.
    """

    def __init__(self, embedding: Embedding, hidden_size: int) -> None:
        super().__init__()
        self.embedding = embedding
        self.layer = LSTMLayer(embedding.width, hidden_size)

    @staticmethod
    def around(lstm: nn.LSTM) -> EmbeddedLSTM:
        """A user's LSTM, without an embedding; the weights are shared. Raises InputError for one of another form."""
        form = {"num_layers": 1, "bias": True, "batch_first": True, "bidirectional": False, "proj_size": 0}
        for name, wanted in form.items():
            if getattr(lstm, name) != wanted:
                remedy = (
                    "wrap it in a class with the two methods of a RecurrentEncoder, zero_state and forward"
                )
                if name == "batch_first":
                    remedy = "make it with batch_first=True, and give it x as (rows, steps, channels)"
                raise InputError(f"the LSTM has {name}={getattr(lstm, name)}, not {wanted}; {remedy}")
        encoder = EmbeddedLSTM(Embedding(0, lstm.input_size, 0), lstm.hidden_size)
        encoder.layer.lstm = lstm
        return encoder

    @property
    def output_size(self) -> int:
        return self.layer.hidden_size

    def zero_state(self, batch_size: int) -> LSTMState:
        return self.layer.zero_state(batch_size)

    def forward(
        self, x: Tensor, state: LSTMState, lengths: NDArray[np.int64] | None = None
    ) -> tuple[Tensor, LSTMState]:
        """x (N, L[, C]) to outputs (N, L, H) and the state after the last step, or after `lengths` steps."""
        folded = self.layer.fold(self.embedding, x)
        return self.layer(x if folded else self.embedding(x), state, folded, lengths)

    def sweep(
        self, x: Tensor, steps: NDArray[np.int64], state: tuple[Tensor, ...] | None = None
    ) -> LSTMState | None:
        """The states (B·m, H) of each row of x (B, T[, C]) after its own `steps` (B, m), by the kernel, no graph.

        From `state`, or zeros. None where the kernel cannot. Under bf16 autocast, in bf16 where the processor can.
        """
        bf16 = torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu") == torch.bfloat16
        start = self.zero_state(len(x)) if state is None else LSTMState(*state)
        with torch.no_grad(), torch.autocast("cpu", enabled=False):
            if not kernel.usable(x, *self.layer.weights, *start):
                return None  # before anything is made of a whole row
            folded = self.layer.fold(self.embedding, x)
            elements = x if folded else self.embedding(x)
            return LSTMState(*kernel.sweep(elements, steps, *self.layer.maps(folded), *start, bf16))

    def run_to_ends(self, x: Tensor, state: LSTMState, lengths: NDArray[np.int64]) -> LSTMState | None:
        """The states after the first `lengths` (N,) steps of each row of x, by the kernel; None as above."""
        return self(x, state, lengths)[1] if kernel.usable(x, *self.layer.weights, *state) else None


class FixedLSTM:
    """An `EmbeddedLSTM` whose weights no longer change, for streams: its maps are folded once.

    The fastest choice was measured (one thread, 128 cells): for one step of one row, torch's cell, 28 µs, where the
    kernel takes 75 and `nn.LSTM` 95; from 4 steps, or 16 elements over all rows, the kernel, which takes a quarter of
    the cell's time at 1,024 rows.
    """

    @torch.no_grad()
    def __init__(self, encoder: EmbeddedLSTM) -> None:
        layer, embedding = encoder.layer, encoder.embedding
        weight, recurrent, bias_ih, bias_hh = layer.weights
        base = bias_ih + bias_hh
        folded = None if embedding.symbols > LARGEST_TABLE else embedding.folded(weight, base)
        self._maps = layer.maps(folded)
        self._table = folded is not None and folded.weight is None
        self._embed: nn.Module = embedding
        if folded is not None and folded.weight is not None:
            self._embed, weight, base = nn.Identity(), folded.weight, folded.base
        self._cell = (weight, recurrent, base, torch.zeros_like(base))

    @torch.no_grad()
    def __call__(self, x: Tensor, state: LSTMState, lengths: NDArray[np.int64]) -> LSTMState | None:
        """The states after the first `lengths` (N,) >= 1 steps of each row of x (N, L[, C]), no graph.

        None where `EmbeddedLSTM` does better: without the kernel, for more than a few steps or for unequal ones.
        """
        rows, steps = x.shape[:2]
        if (steps >= 4 or rows * steps >= 16) and kernel.usable(x, *state):
            elements = x if self._table else self._embed(x)
            return LSTMState(*kernel.sweep(elements, lengths[:, None], *self._maps, *state))
        if steps >= FEWEST_STEPS or (lengths < steps).any():
            return None
        h, c = state
        for step in self._embed(x).unbind(dim=1):
            h, c = torch.lstm_cell(step, (h, c), *self._cell)
        return LSTMState(h, c)
