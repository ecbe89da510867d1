"""A trained network in plain operations that exporters know: input and a state in, logits and the state out.

It uses neither our kernel nor the folded input map. torch.export unrolls `nn.LSTM` over the example's steps, so the
loop over time is `scan`; in an ONNX graph LSTM, GRU and iRNN are ONNX's own operators, which every runtime has.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from backcast.nn.feedforward import FeedForward
from backcast.nn.gru import EmbeddedGRU
from backcast.nn.irnn import EmbeddedIRNN
from backcast.nn.lstm import EmbeddedLSTM
from backcast.nn.model import Model
from backcast.nn.urnn import EPSILON, EmbeddedURNN


class PlainModel(nn.Module):
    """x (B, T[, C]), T at least 1, and a state, (B, H) each, to logits (B, classes) and the state after the last step.

    mean, std  of the channels; x is in the user's units. Not read for symbols: their x is int64, from the vocabulary
    """

    mean: Tensor
    rest: Tensor
    std: Tensor

    def __init__(self, model: Model, mean: Tensor, std: Tensor) -> None:
        super().__init__()
        self.symbols = model.symbols
        # The mean in two parts: a single float32 would lose a small spread around a large mean.
        self.register_buffer("mean", mean.float())
        self.register_buffer("rest", (mean - mean.float()).float())
        self.register_buffer("std", std.float())
        self.embedding = model.encoder.embedding.map
        self.layer = _plain_layer(model.encoder)
        classifier: nn.Module | None = model.classifier
        assert classifier is not None
        if isinstance(classifier, FeedForward):  # else a user's own module, which exporters see as it is
            classifier = nn.Sequential(
                classifier.first, nn.ReLU(), classifier.second, nn.ReLU(), classifier.last
            )
        self.classifier = classifier

    def forward(self, x: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        if self.symbols:
            elements = torch.eye(self.symbols)[x] if self.embedding is None else self.embedding(x)
        else:
            elements = ((x - self.mean) - self.rest) / self.std
            elements = elements if self.embedding is None else self.embedding(elements)
        output, state = self.layer(elements.transpose(0, 1), state)
        return self.classifier(output), *state


State = tuple[Tensor, ...]


class _Layer(nn.Module):
    """Weights with `step(state, inputs) -> state`; the layer's output is the first part of its state."""

    def __init__(self, weight: Tensor, recurrent: Tensor, bias_ih: Tensor, bias_hh: Tensor) -> None:
        super().__init__()
        self.weight, self.recurrent, self.bias_ih, self.bias_hh = (
            nn.Parameter(part.detach().clone()) for part in (weight, recurrent, bias_ih, bias_hh)
        )

    def forward(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """x (T, B, inputs) and the state to the last output (B, outputs) and the state after it."""
        if torch.onnx.is_in_onnx_export():
            state = self.operator(x, state)
        else:
            state = _scan(self.step, x @ self.weight.T + self.bias_ih, state)
        return state[0], state

    def step(self, state: State, inputs: Tensor) -> State:
        """The state after a step, from what the input adds to the gates (B, gates · H)."""
        raise NotImplementedError

    def operator(self, x: Tensor, state: State) -> State:
        """The state after all steps of x (T, B, inputs), by one ONNX operator."""
        raise NotImplementedError

    def _operator(
        self, name: str, order: tuple[int, ...], x: Tensor, state: State, **attributes: Any
    ) -> State:
        """`order`: our gates, in ONNX's order."""

        def arranged(part: Tensor) -> Tensor:
            gates = part.chunk(len(order))
            return torch.cat([gates[gate] for gate in order])[None]

        biases = torch.cat([arranged(self.bias_ih), arranged(self.bias_hh)], dim=1)
        steps, rows, size = x.shape[0], x.shape[1], self.recurrent.shape[1]
        _, *found = torch.onnx.ops.symbolic_multi_out(
            name,
            (
                x,
                arranged(self.weight),
                arranged(self.recurrent),
                biases,
                None,
                *(part[None] for part in state),
            ),
            attrs={"hidden_size": size, **attributes},
            dtypes=[x.dtype] * (1 + len(state)),
            shapes=[(steps, 1, rows, size), *[(1, rows, size)] * len(state)],
        )
        return tuple(part[0] for part in found)


class _LSTM(_Layer):
    def step(self, state: State, inputs: Tensor) -> State:
        h, c = state
        i, f, g, o = (inputs + h @ self.recurrent.T + self.bias_hh).chunk(4, dim=1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        return o.sigmoid() * c.tanh(), c

    def operator(self, x: Tensor, state: State) -> State:
        return self._operator("LSTM", (0, 3, 1, 2), x, state)


class _GRU(_Layer):
    def step(self, state: State, inputs: Tensor) -> State:
        (h,) = state
        reset, update, new = inputs.chunk(3, dim=1)
        own_reset, own_update, own_new = (h @ self.recurrent.T + self.bias_hh).chunk(3, dim=1)
        update = (update + own_update).sigmoid()
        new = (new + (reset + own_reset).sigmoid() * own_new).tanh()
        return (new + update * (h - new),)

    def operator(self, x: Tensor, state: State) -> State:
        return self._operator("GRU", (1, 0, 2), x, state, linear_before_reset=1)


class _IRNN(_Layer):
    def step(self, state: State, inputs: Tensor) -> State:
        return ((inputs + state[0] @ self.recurrent.T + self.bias_hh).relu(),)

    def operator(self, x: Tensor, state: State) -> State:
        return self._operator("RNN", (0,), x, state, activations=["Relu"])


class _URNN(nn.Module):
    def __init__(self, encoder: EmbeddedURNN) -> None:
        super().__init__()
        self.turn = nn.Parameter(encoder.turn().detach())
        self.input_map = nn.Parameter(encoder.input_map.detach().clone())
        self.bias = nn.Parameter(encoder.bias.detach().clone())

    def forward(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        state = _scan(self.step, x @ self.input_map.T, state)
        return torch.cat(state, dim=1), state

    def step(self, state: State, inputs: Tensor) -> State:
        hidden = torch.addmm(inputs, torch.cat(state, dim=1), self.turn)
        real, imaginary = hidden.chunk(2, dim=1)
        modulus = (real.square() + imaginary.square() + EPSILON).sqrt()
        scale = (modulus + self.bias).relu() / modulus
        return real * scale, imaginary * scale


def _plain_layer(encoder: nn.Module) -> nn.Module:
    if isinstance(encoder, EmbeddedURNN):
        return _URNN(encoder)
    if isinstance(encoder, EmbeddedLSTM):
        return _LSTM(*encoder.layer.weights)
    if isinstance(encoder, EmbeddedGRU):
        return _GRU(*encoder.gru.all_weights[0])
    assert isinstance(encoder, EmbeddedIRNN), type(encoder)
    return _IRNN(*encoder.rnn.all_weights[0])


def _scan(step: Callable[[State, Tensor], State], inputs: Tensor, state: State) -> State:
    """The state after `step` has run over the first dimension of `inputs` (T, B, ...)."""
    from torch._higher_order_ops.scan import scan

    def body(carried: State, at: Tensor) -> tuple[State, Tensor]:
        state = step(carried, at)
        return state, state[0].new_zeros(1)  # something must be stacked

    found, _ = scan(body, state, inputs)
    return tuple(found)
