"""The auxiliary networks: r-LSTM's decoder of segments and p-LSTM's predictor of next elements."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from backcast import kernel
from backcast.errors import InputError
from backcast.nn.embedding import Embedding, InputMap, sinusoidal_positions
from backcast.nn.feedforward import FeedForward
from backcast.nn.lstm import FEWEST_STEPS, LSTMLayer, LSTMState


class DecoderState(NamedTuple):
    """The states of the decoder's layers; `top` is None where there is only one."""

    bottom: LSTMState
    top: LSTMState | None

    def detach(self) -> DecoderState:
        """The same state, without its gradient."""
        return DecoderState(self.bottom.detach(), None if self.top is None else self.top.detach())


class Decoder(nn.Module):
    """r-LSTM's decoder (section 3): two LSTM layers, then a feed-forward network at every step.

    The bottom layer starts from the main network's state at the anchor, the top layer from zeros. Its weights
    are its own, except the embedding's (whether that is shared is not stated in the paper).

    state_size, hidden_size   widths of the main network's state and of the decoder's
    bridged       a linear map turns the main network's state into the bottom layer's: for another width or kind of cell
    num_layers    2 in the paper; 1 for the ablation
    position_cue  add the sinusoidal position of the place to be reconstructed to the input (ours)
    """

    def __init__(
        self,
        embedding: Embedding,
        state_size: int,
        hidden_size: int,
        num_layers: int,
        output_size: int,
        feedforward_size: int,
        dropconnect: float,
        position_cue: bool,
        bridged: bool,
    ) -> None:
        super().__init__()
        self._shared = (embedding,)  # not registered as a submodule: it belongs to the main network
        self.position_cue = position_cue
        self.bridge_h = nn.Linear(state_size, hidden_size) if bridged else None
        self.bridge_c = nn.Linear(state_size, hidden_size) if bridged else None
        self.bottom = LSTMLayer(embedding.width, hidden_size)
        self.top = LSTMLayer(hidden_size, hidden_size) if num_layers == 2 else None
        self.output = FeedForward(hidden_size, feedforward_size, output_size, dropconnect)

    @property
    def embedding(self) -> Embedding:
        """The main network's embedding."""
        return self._shared[0]

    @property
    def weights_dtype(self) -> torch.dtype:
        """The precision of the weights; under autocast a state's is lower, too low for positions."""
        return self.output.last.weight.dtype

    def initial_state(self, state: tuple[Tensor, ...]) -> DecoderState:
        """The decoder's first state, from the main network's at the anchor: one part or two, each (B, H)."""
        h, c = state[0], state[-1]
        if self.bridge_h is not None and self.bridge_c is not None:
            h, c = self.bridge_h(h), self.bridge_c(c)
        return DecoderState(LSTMState(h, c), self.top.zero_state(len(h)) if self.top else None)

    def forward(
        self,
        fed: Tensor,
        places: Tensor,
        state: DecoderState,
        second_weight: Tensor | None = None,
    ) -> tuple[Tensor, DecoderState]:
        """L steps of decoding.

        fed     (N, F[, C]) the elements that are fed at the first F of the steps; at the others the decoder gets nothing
        places  (N, L) int64, the position of each step's target in its row; only the position cue reads it
        returns (N, L, output_size) and the state after the last step
        """
        hidden, bottom = self._bottom(fed, places, state.bottom)
        top = state.top
        if self.top is not None and top is not None:
            hidden, top = self.top(hidden, top)
        return self.output(hidden, second_weight), DecoderState(bottom, top)

    def sample_by_kernel(
        self,
        truth: Tensor,
        feed_truth: Tensor,
        uniform: Tensor,
        places: Tensor,
        state: tuple[Tensor, ...],
        second_weight: Tensor,
    ) -> Tensor | None:
        """What the decoder is fed where its own output replaces some of the truth, computed by the kernel.

        Arguments as for `kernel.decode` and `forward`; `second_weight` is `feedforward`'s under DropConnect, `state` is the
        main network's at the anchor. None where the kernel cannot.
        """
        identity = not self.embedding.symbols and self.embedding.map is None
        with torch.no_grad(), torch.autocast("cpu", enabled=False):
            if not kernel.usable(truth, self.output.last.weight):
                return None
            folded = self.bottom.fold(self.embedding, truth)
            if not (folded or identity):
                return None
            h, c = self.initial_state(tuple(part.float() for part in state)).bottom
            cue = None
            if self.position_cue:
                distinct, which = places.unique(return_inverse=True)
                features = sinusoidal_positions(distinct, self.embedding.width, self.weights_dtype)
                cue = which, features @ self.bottom.weights[0].T
            top = None if self.top is None else self.top.maps()
            parts = (self.output.first, self.output.second, self.output.last)
            feedforward = [part for layer in parts for part in (layer.weight, layer.bias)]
            feedforward[2] = second_weight
            return kernel.decode(
                truth, feed_truth, uniform, h, c, self.bottom.maps(folded), cue, top, feedforward
            )

    def _bottom(self, fed: Tensor, places: Tensor, state: LSTMState) -> tuple[Tensor, LSTMState]:
        unfed = places.shape[1] - fed.shape[1]
        if not unfed and not self.position_cue:
            folded = self.bottom.fold(self.embedding, fed)
            if folded is not None:
                return self.bottom(fed, state, folded)
        if unfed >= FEWEST_STEPS and kernel.usable(places, self.bottom.weights[0], *state):
            found = self._table(fed, places)
            if found is not None:
                symbols, table = found
                return self.bottom(symbols, state, table)
        return self.bottom(self._inputs(fed, places), state)

    def _inputs(self, fed: Tensor, places: Tensor) -> Tensor:
        """What the bottom layer reads, (N, L, width): the embedded elements, then zeros; with the cue, that of each place."""
        inputs = F.pad(self.embedding(fed), (0, 0, 0, places.shape[1] - fed.shape[1]))
        if self.position_cue:
            inputs = inputs + sinusoidal_positions(places, self.embedding.width, self.weights_dtype)
        return inputs

    def _table(self, fed: Tensor, places: Tensor) -> tuple[Tensor, InputMap] | None:
        """The steps as symbols (N, L), and what each symbol adds to the bottom layer's gates.

        A step that is not fed reads its place's cue alone, the same in every row: so the layer's input map is applied once
        to each place, and once to each element that is fed. `_inputs` defines it. None where there are few steps a place.
        """
        weight, _, bias_ih, bias_hh = self.bottom.weights
        count, first = fed.shape[:2]
        others = places[:, first:]
        distinct, which = (others if self.position_cue else torch.zeros_like(others)).unique(
            return_inverse=True
        )
        if 2 * len(distinct) > which.numel():
            return None
        nothing = fed.new_empty(len(distinct), 0, *fed.shape[2:])
        unfed, of_fed = self._inputs(nothing, distinct[:, None]), self._inputs(fed, places[:, :first])
        inputs = torch.cat([unfed.flatten(0, 1), of_fed.flatten(0, 1)])
        own = len(distinct) + torch.arange(count * first).reshape(count, first)
        table = F.linear(inputs, weight, bias_ih + bias_hh)
        return torch.cat([own, which], dim=1), InputMap(None, table)


class Predictor(nn.Module):
    """p-LSTM's auxiliary network: one LSTM layer on the main network's outputs, then a feed-forward network.

    Its layer starts from zeros at the anchor. (The paper's figure 2 shows it stacked on the main LSTM; the
    number of layers and the zeros are not stated.)
    """

    def __init__(
        self, input_size: int, hidden_size: int, output_size: int, feedforward_size: int, dropconnect: float
    ) -> None:
        super().__init__()
        self.layer = LSTMLayer(input_size, hidden_size)
        self.output = FeedForward(hidden_size, feedforward_size, output_size, dropconnect)

    def forward(
        self, outputs: Tensor, state: LSTMState, second_weight: Tensor | None = None
    ) -> tuple[Tensor, LSTMState]:
        """The main network's outputs (N, L, H) to next elements (N, L, output_size). Raises InputError for another H."""
        wanted, width = self.layer.lstm.input_size, outputs.shape[-1]
        if width != wanted:
            raise InputError(
                f"the encoder's outputs are {width} wide, where {wanted} were expected, the width of its state; "
                f"give it an attribute output_size = {width}"
            )
        hidden, state = self.layer(outputs, state)
        return self.output(hidden, second_weight), state
