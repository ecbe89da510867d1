"""What the auxiliary networks say when they run free: segments of the past, and of what comes next.

The decoder gets a segment's first element and, after it, its own outputs (or nothing, if it was trained so), never
a later truth. Of symbols, the most likely one is fed back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from backcast.build import TrainedModel
from backcast.data.sequences import Sequences
from backcast.sweep import State, like, sweep

ANCHORS_PER_ROW = 4
MOST_NUMBERS = 5_000_000  # of all segments that are decoded together, at one step: 20 MB


@dataclass(frozen=True)
class Recall:
    """One row, seen from several anchors.

    truth     (T, C), or (T,) symbols, in the order in which the network reads, in the data's own units
    anchors   (A,) steps
    past      (A, T, C): what the decoder reconstructs from the state at each anchor; nan where it was not asked
    future    (A, T, C): what the predictor expects after each anchor; nan elsewhere
    """

    truth: NDArray[np.float64]
    anchors: NDArray[np.int64]
    past: NDArray[np.float64] | None
    future: NDArray[np.float64] | None


def recall(
    model: TrainedModel,
    rows: Sequences,
    which: int,
    anchors: NDArray[np.int64] | None = None,
    most_segments: int | None = None,
    nearest: int = 1,
) -> Recall:
    """Reconstructions and predictions for row `which`, as far as the model has the networks.

    anchors        (A,) steps, 1 .. row length; None: the row's quarters
    most_segments  reconstructed from each anchor; None: all of its past
    nearest        how many of these are the nearest to the anchor; the others are evenly chosen, the first among them
    """
    batch = model.preprocessing.batch(rows, np.array([which]), model.device)
    total = int(batch.lengths[0])
    if anchors is None:
        anchors = evenly(total, ANCHORS_PER_ROW)
    states = sweep(model.network.encoder, batch, anchors[None])
    x = batch.slice(0, total)[0]
    with torch.no_grad():
        past = (
            None
            if model.network.decoder is None
            else _reconstruct(model, x, states, anchors, most_segments, nearest)
        )
        future = None if model.network.predictor is None else _predict(model, x, states, anchors)
    return Recall(
        in_units(model, x.cpu().numpy().astype(np.float64)),
        anchors,
        None if past is None else in_units(model, past),
        None if future is None else in_units(model, future),
    )


def evenly(total: int, count: int) -> NDArray[np.int64]:
    """At most `count` steps of 1 .. total, evenly spaced; the last is `total`."""
    return np.unique(np.ceil(total * np.arange(1, count + 1) / count).astype(np.int64))


def _reconstruct(
    model: TrainedModel,
    x: Tensor,
    states: State,
    anchors: NDArray[np.int64],
    most: int | None,
    nearest: int,
) -> NDArray[np.float64]:
    """The past [0, a) from the state at each anchor a, segments laid end to end: x (T[, C]) to (A, T[, C]).

    Segments have the configured length; the last ends at the anchor, so that nothing is fed that the network has
    not read. They are decoded many at a time, but not all: memory would grow with the length times the vocabulary.
    """
    result = np.full((len(anchors), *x.shape), np.nan)
    length = model.config.segment_length
    segments = [
        (number, first, min(first + length, anchor - 1))
        for number, anchor in enumerate(anchors.tolist())
        for first in spread(range(0, anchor - 1, length), most, nearest)
    ]
    if not segments:
        return result
    size = max(1, MOST_NUMBERS // max(model.preprocessing.symbols, 4 * model.config.hidden_size))
    for start in range(0, len(segments), size):
        _decode(model, x, states, np.array(segments[start : start + size]), result)
    return result


def _decode(
    model: TrainedModel, x: Tensor, states: State, segments: NDArray[np.int64], result: NDArray[np.float64]
) -> None:
    """Puts into `result` (A, T[, C]) what the decoder says of `segments` (n, 3): anchor's number, first and last step."""
    decoder = model.network.decoder
    assert decoder is not None
    whose, first, last = segments.T
    order = np.arange(int((last - first).max()) + 1)
    if model.config.backwards:
        positions = np.maximum(last[:, None] - order, first[:, None])
    else:
        positions = np.minimum(first[:, None] + order, last[:, None])
    places, row = torch.from_numpy(positions).to(x.device), torch.from_numpy(whose).to(x.device)
    element, carried = x[places[:, :1]], decoder.initial_state(tuple(part[row] for part in states))
    for step in range(1, len(order)):
        unfed = step > 1 and model.config.decoder_input == "unfed"
        predicted, carried = decoder(
            element[:, :0] if unfed else element, places[:, step : step + 1], carried
        )
        element = _likeliest(model, predicted)
        own = positions[:, step] != positions[:, step - 1]
        result[whose[own], positions[own, step]] = element[:, 0].cpu().numpy()[own]


def right(truth: NDArray[Any], said: NDArray[Any], unknown: int) -> NDArray[np.bool_]:
    """Symbols: is the answer right? Never where the truth is unknown to the model, not even if it says "unknown"."""
    return (said == truth) & (truth != unknown)


def spread(firsts: range, most: int | None, nearest: int = 1) -> list[int]:
    """At most `most` of them, in order: the last `nearest`, and evenly chosen others, the first among these."""
    if most is None or len(firsts) <= most:
        return list(firsts)
    near = min(nearest, most)
    far = np.linspace(0, len(firsts) - near, most - near, endpoint=False).astype(int)
    return [*(firsts[i] for i in far.tolist()), *firsts[len(firsts) - near :]]


def _predict(
    model: TrainedModel, x: Tensor, states: State, anchors: NDArray[np.int64]
) -> NDArray[np.float64]:
    """What comes after x[a], which is read; then the network reads its own predictions: (A, T[, C])."""
    predictor = model.network.predictor
    assert predictor is not None
    result = np.full((len(anchors), *x.shape), np.nan)
    asked = np.flatnonzero(anchors < len(x) - 1)
    if not len(asked):
        return result
    row = torch.from_numpy(asked).to(x.device)
    element, state = x[torch.from_numpy(anchors[asked]).to(x.device)][:, None], [part[row] for part in states]
    carried, main = predictor.layer.zero_state(len(asked)), like(states, state)
    for step in range(1, min(model.config.segment_length, len(x) - 1) + 1):
        outputs, main = model.network.encoder(element, main)
        predicted, carried = predictor(outputs, carried)
        element = _likeliest(model, predicted)
        positions = anchors[asked] + step
        inside = positions < len(x)
        result[asked[inside], positions[inside]] = element[:, 0].cpu().numpy()[inside]
    return result


def _likeliest(model: TrainedModel, predicted: Tensor) -> Tensor:
    return predicted.argmax(dim=-1) if model.preprocessing.symbols else predicted


def in_units(model: TrainedModel, x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Standardising undone; symbols as they are."""
    preprocessing = model.preprocessing
    return x if preprocessing.symbols else x * np.array(preprocessing.std) + np.array(preprocessing.mean)
