"""What one run says of one row: probabilities at every place, reconstructions and predictions from every anchor."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from backcast.inference import outputs_at
from backcast.report.interactive.detail import BINS, WINDOW, Steps
from backcast.report.reconstructions import Recall, recall, right
from backcast.report.results import RunResult

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Answer:
    """The elements that one network gives from every anchor, and how far they are from the truth.

    values    (A, T, C), or (A, T) symbols of the model; nan where it was not asked
    errors    (A, bins), the mean over equal parts of the distances 1 .. reach; nan where nothing was asked
    overall   (A,) the mean over all that was asked; nan where that is nothing
    reach     the largest distance there is

    An error is squared error in units of the training rows' variance, the mean over channels that vary in them; for symbols, whether the
    answer is wrong, as any answer is where the true symbol is unknown to the model.
    From an anchor after a steps, x[a-1] in the past and x[a+1] in the future are at distance 1: x[a] is given.
    """

    values: Array
    errors: Array
    overall: Array
    reach: int


@dataclass(frozen=True)
class RowAnswers:
    """What a run says of a row; probabilities (P, classes), or None where it classifies nothing, or has not learned to."""

    probabilities: NDArray[np.float32] | None
    past: Answer | None
    future: Answer | None


def ask(run: RunResult, which: int, steps: Steps) -> RowAnswers:
    """Row `which` of the run's measured rows."""
    network = run.model.network
    probabilities = _probabilities(run, which, steps.places) if run.classifies else None
    if network.decoder is None and network.predictor is None:
        return RowAnswers(probabilities, None, None)
    length = run.config.segment_length
    segments = max(1, math.ceil(steps.decoded / length))
    # The last segment may be short. Text is asked for in full where it is shown, a line all over the row.
    nearest = 1 + math.ceil(WINDOW / length) if run.model.preprocessing.symbols else 1
    found = recall(run.model, run.measured, which, steps.anchors, segments, nearest)
    ahead = np.arange(len(found.truth)) - steps.anchors[:, None]
    return RowAnswers(
        probabilities,
        None if found.past is None else _judged(run, found, found.past, -ahead, len(found.truth)),
        None if found.future is None else _judged(run, found, found.future, ahead, length),
    )


def _probabilities(run: RunResult, which: int, places: NDArray[np.int64]) -> NDArray[np.float32]:
    """(P, classes) after reading each number of steps in `places`; the classifier was trained only on the last."""
    model = run.model
    batch = model.preprocessing.batch(run.measured, np.array([which]), model.device)
    with torch.no_grad():
        logits = model.network.classifier(outputs_at(model.network, batch, places[None])[0])  # type: ignore[misc]
    found: NDArray[np.float32] = logits.softmax(dim=-1).cpu().numpy()
    return found


def _judged(run: RunResult, found: Recall, values: Array, distances: NDArray[np.int64], reach: int) -> Answer:
    """`distances` (A, T) of each element from each anchor, below 1 where it is not asked."""
    if run.model.preprocessing.symbols:
        unknown = len(run.model.preprocessing.vocabulary)
        wrong = np.where(np.isnan(values), np.nan, ~right(found.truth, values, unknown))
    else:
        # A constant channel is always about right: with it, knowing nothing would count as less than 1.
        counted = run.varying if run.varying.any() else ~run.varying
        squared = np.square((values - found.truth) / np.array(run.model.preprocessing.std))
        wrong = squared[..., counted].mean(axis=-1)
    return Answer(
        values, by_distance(wrong, distances, reach), by_distance(wrong, distances, reach, 1)[:, 0], reach
    )


def by_distance(wrong: Array, distances: NDArray[np.int64], reach: int, bins: int = BINS) -> Array:
    """The mean of `wrong` (A, T) over equal parts of the distances 1 .. reach: (A, `bins` or fewer)."""
    bins = min(bins, reach)
    known = ~np.isnan(wrong) & (distances >= 1) & (distances <= reach)
    anchor, _ = np.nonzero(known)
    place = anchor * bins + (distances[known] - 1) * bins // reach
    total = np.bincount(place, wrong[known], len(wrong) * bins)
    count = np.bincount(place, minlength=len(wrong) * bins)
    means = np.divide(total, count, out=np.full(len(total), np.nan), where=count > 0)
    return means.reshape(len(wrong), bins)
