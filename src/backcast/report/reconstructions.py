"""What the auxiliary networks say when they run free: segments of the past, and of what comes next.

The decoder gets a segment's first element and, behind it, its own outputs (or nothing, if it was trained so), never
a later truth. What is fed back of symbols is the most likely one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from backcast.build import TrainedModel
from backcast.data.sequences import Sequences
from backcast.nn.decoder import Decoder
from backcast.nn.lstm import LSTMState
from backcast.sweep import sweep

ANCHORS_PER_ROW = 4


@dataclass(frozen=True)
class Recall:
    """One row, seen from several anchors.

    truth     (T, C), or (T,) symbols, in the order in which the network reads, in the data's own units
    anchors   (A,) steps
    past      (A, T, C): what the decoder reconstructs from the state at each anchor; nan where it was not asked
    future    (A, T, C): what the predictor expects behind each anchor; nan elsewhere
    """

    truth: NDArray[np.float64]
    anchors: NDArray[np.int64]
    past: NDArray[np.float64] | None
    future: NDArray[np.float64] | None


def recall(model: TrainedModel, rows: Sequences, which: int) -> Recall:
    """Reconstructions and predictions for row `which` from its quarters, as far as the model has the networks."""
    batch = model.preprocessing.batch(rows, np.array([which]), model.device)
    total = int(batch.lengths[0])
    anchors = np.unique(np.ceil(total * np.arange(1, ANCHORS_PER_ROW + 1) / ANCHORS_PER_ROW).astype(np.int64))
    states = LSTMState(*sweep(model.network.encoder, batch, anchors[None]))
    network = model.network
    with torch.no_grad():
        x = batch.x[0]
        past = None if network.decoder is None else [
            _reconstruct(model, network.decoder, x, LSTMState(*(part[i : i + 1] for part in states)), int(anchor))
            for i, anchor in enumerate(anchors)
        ]  # fmt: skip
        future = None if network.predictor is None else [
            _predict(model, x, LSTMState(*(part[i : i + 1] for part in states)), int(anchor))
            for i, anchor in enumerate(anchors)
        ]  # fmt: skip
    return Recall(
        _in_units(model, x.cpu().numpy().astype(np.float64)),
        anchors,
        None if past is None else np.stack([_in_units(model, part) for part in past]),
        None if future is None else np.stack([_in_units(model, part) for part in future]),
    )


def _reconstruct(
    model: TrainedModel, decoder: Decoder, x: Tensor, state: LSTMState, anchor: int
) -> NDArray[np.float64]:
    """The past [0, anchor) from the state at the anchor, segment beside segment; x (T[, C])."""
    result = np.full(tuple(x.shape), np.nan)
    length = min(model.config.segment_length, len(x) - 1)
    if not length:
        return result
    backwards = model.config.backwards
    for first in range(0, anchor, length):
        place = min(first, len(x) - 1 - length)
        order = range(place + length, place - 1, -1) if backwards else range(place, place + length + 1)
        element, carried = x[order[0]][None, None], decoder.initial_state(state)
        for step, position in enumerate(list(order)[1:]):
            unfed = step and model.config.decoder_input == "unfed"
            flag = torch.zeros(1, device=x.device) if unfed else None
            places = torch.tensor([[position]], device=x.device)
            predicted, carried = decoder(element, flag, places, carried)
            element = _likeliest(model, predicted)
            if position < anchor:
                result[position] = element[0, 0].cpu().numpy()
    return result


def _predict(model: TrainedModel, x: Tensor, state: LSTMState, anchor: int) -> NDArray[np.float64]:
    """The next elements behind x[anchor], which is read; then the network reads its own predictions."""
    result = np.full(tuple(x.shape), np.nan)
    predictor = model.network.predictor
    assert predictor is not None
    if anchor >= len(x) - 1:
        return result
    element, carried = x[anchor][None, None], predictor.layer.zero_state(1)
    for position in range(anchor + 1, min(anchor + model.config.segment_length, len(x) - 1) + 1):
        outputs, state = model.network.encoder(element, state)
        predicted, carried = predictor(outputs, carried)
        element = _likeliest(model, predicted)
        result[position] = element[0, 0].cpu().numpy()
    return result


def _likeliest(model: TrainedModel, predicted: Tensor) -> Tensor:
    return predicted.argmax(dim=-1) if model.preprocessing.symbols else predicted


def _in_units(model: TrainedModel, x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Standardising undone; symbols as they are."""
    preprocessing = model.preprocessing
    return x if preprocessing.symbols else x * np.array(preprocessing.std) + np.array(preprocessing.mean)
