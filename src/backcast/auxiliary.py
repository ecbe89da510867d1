"""The paper's auxiliary loss for a network and a training loop of your own."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from numbers import Integral
from typing import Any

import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from backcast.batch import Batch
from backcast.config import Config
from backcast.errors import InputError, python_words
from backcast.nn.decoder import Decoder, Predictor
from backcast.nn.embedding import Embedding
from backcast.nn.initialise import initialise
from backcast.nn.lstm import EmbeddedLSTM
from backcast.nn.model import Model
from backcast.objectives import Draw, Objective, Prediction, WholeSequence, losses
from backcast.sweep import State


class AuxiliaryLoss(nn.Module):
    """A term to add to your own loss: `loss = F.cross_entropy(mine(x), y) + auxiliary(x)` (section 3).

    encoder    an `nn.LSTM` (one layer, one direction, batch first), or any `RecurrentEncoder`: two methods, `zero_state`
               and `forward`, and `output_size` where its outputs have another width than its state. It stays yours:
               `parameters()` are only those of the auxiliary network
    objective  `Reconstruction` (r-LSTM), `Prediction` (p-LSTM), or one of your own that uses their networks
    channels   numbers in an element, if x is (B, T, C); or
    symbols    how many symbols there are, if x is (B, T) int64
    hidden_size    of the auxiliary network; None: the encoder's
    seed       of initial weights, anchors, places; all randomness follows from it and from `steps`, the number of calls
               in training, which is in the `state_dict`

    The other settings are `Config`'s, with its ranges. Your own loss keeps what it keeps: where rows are long, cut its
    gradient, too (examples/own_network.py). Raises InputError for an encoder, an objective or a setting that cannot be used.
    Under `torch.compile` the loss itself is computed as without: what it draws is different at every step.
    """

    steps: Tensor

    def __init__(
        self,
        encoder: Any,
        objective: Objective,
        *,
        channels: int = 0,
        symbols: int = 0,
        hidden_size: int | None = None,
        embedding_size: int = 128,
        decoder_layers: int = 2,
        feedforward_size: int = 256,
        dropconnect: float = 0.5,
        position_cue: bool = True,
        seed: int = 0,
    ) -> None:
        super().__init__()
        for what, count in (("channels", channels), ("symbols", symbols)):
            if not isinstance(count, Integral) or isinstance(count, bool) or count < 0:
                raise InputError(f"{what}={count!r}: must be a whole number from 0")
        if (channels > 0) == (symbols > 0):
            raise InputError("say either channels, the numbers in an element, or symbols, how many there are")
        whole = isinstance(objective, WholeSequence)  # which needs a network of another form
        if isinstance(objective, type) or whole or getattr(objective, "supervised", True):
            raise InputError(
                f"the objective is {objective!r}; it must be one that needs no labels: a Reconstruction(...) or a "
                "Prediction(...), say"
            )
        with python_words():  # Config refuses what is out of range
            Config(
                method="p-lstm" if isinstance(objective, Prediction) else "r-lstm",
                hidden_size=1 if hidden_size is None else hidden_size,
                embedding_size=embedding_size, decoder_layers=decoder_layers, feedforward_size=feedforward_size,
                dropconnect=dropconnect, position_cue=position_cue, seed=seed,
            )  # fmt: skip
        self.objective, self.seed, self.channels = objective, seed, channels
        # torch draws initial weights from its global generator; they are replaced, and the generator is restored.
        with torch.random.fork_rng(devices=[]):
            encoder = _recurrent(encoder, channels, symbols)
            state = _first_state(encoder)
            size, elements = state[0].shape[-1], symbols or channels
            own = hidden_size or size
            self.embedding = self.decoder = self.predictor = None
            if isinstance(objective, Prediction):
                width = getattr(encoder, "output_size", size)
                self.predictor = Predictor(width, own, elements, feedforward_size, dropconnect)
            else:
                _require_decodable(state)
                self.embedding = Embedding(symbols, channels, embedding_size)
                self.decoder = Decoder(
                    self.embedding, size, own, decoder_layers, elements, feedforward_size, dropconnect, position_cue,
                    bridged=len(state) != 2 or own != size,
                )  # fmt: skip
        initialise(self, seed)
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))
        # In a tuple it is not registered as a submodule: the encoder stays its owner's.
        self._model = (Model(encoder, None, self.decoder, self.predictor, None, symbols),)

    @torch.compiler.disable
    def forward(self, x: Tensor, lengths: ArrayLike | None = None) -> Tensor:
        """The mean loss of an element, with a graph through `encoder` for as many steps as `objective` says.

        In evaluation nothing is dropped and `steps` does not advance: each call gives the same rows the same anchors
        and places.

        x        (B, T, C) real vectors, best standardised, or (B, T) symbols, as the encoder reads them. It may carry a
                 gradient, an embedding's; none comes from x as a target
        lengths  (B,) steps of each row, 1 .. T; None: all T. Where all have one step, nothing can be asked: 0, no graph

        What stands behind a row's end may be anything. Raises InputError for an x of another shape or type, ValueError for
        other lengths.
        """
        if not isinstance(x, Tensor):
            raise InputError(f"x is a {type(x).__name__}; it must be a tensor")
        if x.ndim != (3 if self.channels else 2) or (self.channels and x.shape[2] != self.channels):
            wanted = f"(rows, steps, {self.channels})" if self.channels else "(rows, steps), symbols"
            raise InputError(f"x has the shape {tuple(x.shape)}; it must be {wanted}")
        if x.is_floating_point() != bool(self.channels) or (not self.channels and x.dtype != torch.int64):
            raise InputError(
                f"x is {x.dtype}; it must be {'floating point' if self.channels else 'torch.int64'}"
            )
        if not x.numel():
            raise InputError(f"x has the shape {tuple(x.shape)}; it must have a row, and a step")
        batch = Batch.of(x, lengths=lengths)
        self._require_readable(batch)
        step = int(self.steps)
        if self.training:
            self.steps += 1
        with _without_cache(x.device.type):
            terms = losses(self._model[0], [self.objective], batch, Draw(self.seed, step, step))
        term = terms[self.objective.name]
        return term.total / max(term.count, 1)

    def _require_readable(self, batch: Batch) -> None:
        """Raises InputError for symbols that are none, and for a precision that the decoder does not read."""
        assert isinstance(batch.x, Tensor)
        x, symbols = batch.x, self._model[0].symbols
        if symbols:
            least, most = torch.stack(x.aminmax()).tolist()  # one question to a GPU, not two
            if least < 0 or most >= symbols:
                raise InputError(
                    f"x holds the symbol {least if least < 0 else most}; symbols={symbols}: they are 0 .. {symbols - 1}"
                )
        elif self.decoder is not None and not torch.is_autocast_enabled(x.device.type):
            own = self.decoder.weights_dtype
            if x.dtype != own:
                raise InputError(
                    f"x is {x.dtype}, the auxiliary network's weights are {own}; they must be the same: "
                    f"auxiliary.to({x.dtype}), or x.to({own})"
                )


def _recurrent(encoder: Any, channels: int, symbols: int) -> Any:
    """The encoder as a `RecurrentEncoder`. Raises InputError for one that cannot be, or that reads something else."""
    # A subclass that computes something else must not be taken for its weights.
    if isinstance(encoder, nn.LSTM) and type(encoder).forward is nn.LSTM.forward:
        if symbols:
            raise InputError("an nn.LSTM reads vectors: embed the symbols, and say channels, their width")
        if encoder.input_size != channels:
            raise InputError(
                f"channels={channels}: the LSTM reads vectors of {encoder.input_size} numbers, and x must be those"
            )
        return EmbeddedLSTM.around(encoder)
    if not hasattr(encoder, "zero_state"):
        for inside in ("module", "_orig_mod"):
            if isinstance(encoder, nn.Module) and hasattr(encoder, inside):
                raise InputError(
                    f"the encoder is a {type(encoder).__name__}; give the network inside it, its `{inside}`: the weights "
                    "are the same"
                )
        raise InputError(
            f"the encoder is a {type(encoder).__name__}; wrap it in a class with the two methods of a RecurrentEncoder, "
            "zero_state and forward"
        )
    return encoder


def _first_state(encoder: Any) -> State:
    """The state of two rows before their first step. Raises InputError for what is no state of rows."""
    state = encoder.zero_state(2)
    if (
        not isinstance(state, (tuple, list))
        or not state
        or not all(isinstance(part, Tensor) for part in state)
    ):
        raise InputError(
            f"the encoder's zero_state gives a {type(state).__name__}; it must give a tuple of tensors (B, ...)"
        )
    wrong = next((part for part in state if part.ndim < 2 or len(part) != 2), None)
    if wrong is not None:
        raise InputError(
            f"the encoder's zero_state(2) has a part of the shape {tuple(wrong.shape)}; the rows must be its first "
            "dimension, (2, ...): torch's own layers have them second, so transpose"
        )
    return tuple(state)


def _require_decodable(state: State) -> None:
    """Raises InputError for a state of two rows from which no decoder can start."""
    if len(state) > 2 or any(part.shape != (2, state[0].shape[-1]) for part in state):
        shapes = ", ".join(str(("B", *part.shape[1:])).replace("'", "") for part in state)
        raise InputError(
            f"the encoder's state has the parts {shapes}; a decoder starts from one or two of one width, (B, H): "
            "join them along H"
        )


def _without_cache(device: str) -> AbstractContextManager[Any]:
    """The caller's autocast without its cache, which some versions of torch fill in the sweep, with casts that have no graph."""
    if not torch.is_autocast_enabled(device):
        return nullcontext()
    return torch.autocast(device, dtype=torch.get_autocast_dtype(device), cache_enabled=False)
