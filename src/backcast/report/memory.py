"""The memory curve: how much of the past a network's last output still says, and its one number.

Independent of the method, so that a plain LSTM can be measured as well. From the network's output at the end of a row,
which is what the classifier sees, a linear readout gives the element d steps back, x[T-d], for every distance d. Its error
is squared error over variance: 0 is perfect, 1 knows no more than the mean. The number, "remembers N steps", is the
largest distance at which the readout still explains a quarter of the variance (error at most 0.75); 0 where
there is none. Where the input does not vary (blank steps) there is nothing to remember, and no error.

The readout is a ridge regression on the outputs as they are, with a ridge of at least 1e-4 a row. That is the same as
noise of 0.01 on every unit: echoes far below that, which even an untrained network keeps, do not count as memory.

A relative of the short-term memory capacity of Jaeger (2002), which sums 1 - error over all distances.
Not in the paper.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch.nn import functional as F

from backcast.build import TrainedModel
from backcast.data.sequences import Sequences
from backcast.inference import last_outputs

FIT_ROWS, TEST_ROWS, MOST_DISTANCES = 2_000, 1_000, 2_000
EXPLAINED = 0.25
RIDGES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)  # a row; at least 0.01 squared

Array = NDArray[np.float64]


@dataclass(frozen=True)
class MemoryCurve:
    """distances (D,), steps back from the end, from 1; error (D,), pooled over neighbours, nan where nothing varies."""

    distances: NDArray[np.int64]
    error: Array

    @property
    def remembers_steps(self) -> int:
        """The largest distance at which the readout explains at least a quarter of the variance."""
        good = self.distances[np.nan_to_num(self.error, nan=np.inf) <= 1.0 - EXPLAINED]
        return int(good.max()) if len(good) else 0


def memory_curve(model: TrainedModel, fit_rows: Sequences, test_rows: Sequences) -> MemoryCurve:
    """Fitted on up to 2,000 rows, the ridge chosen on a fifth of them; measured on up to 1,000 other rows.

    Distances go up to the median length (rows that are shorter are left out), at most 2,000 of them, evenly
    chosen. The error at a distance is pooled over a 32nd of all distances around it.
    """
    reach = int(np.median(np.concatenate([fit_rows.lengths, test_rows.lengths])))
    distances = np.unique(np.linspace(1, reach, min(reach, MOST_DISTANCES)).round().astype(np.int64))
    outputs, targets = _outputs_and_targets(model, _long_enough(fit_rows, reach, FIT_ROWS), distances)
    others, truths = _outputs_and_targets(model, _long_enough(test_rows, reach, TEST_ROWS), distances)
    choosing = len(outputs) // 5
    trials = [
        _squared_errors(outputs[choosing:], targets[choosing:], outputs[:choosing], targets[:choosing], ridge)
        for ridge in RIDGES
    ]
    best = np.argmin(trials, axis=0)
    errors = np.array([_squared_errors(outputs, targets, others, truths, ridge) for ridge in RIDGES])
    chosen = np.take_along_axis(errors, best[None], axis=0)[0]
    variance = np.square(truths - targets.mean(axis=0)).mean(axis=0).sum(axis=-1)
    return MemoryCurve(distances, _pool(chosen, variance, max(1, len(distances) // 32)))


def _long_enough(rows: Sequences, reach: int, most: int) -> Sequences:
    return rows.select(np.flatnonzero(rows.lengths >= reach)[:most])


def _outputs_and_targets(
    model: TrainedModel, rows: Sequences, distances: NDArray[np.int64]
) -> tuple[Array, Array]:
    """Outputs (n, H) at the rows' ends and elements (n, D, C) at the distances before them."""
    outputs, targets = [], []
    symbols = model.preprocessing.symbols
    for batch in model.preprocessing.batches(rows, 128, model.device):
        outputs.append(last_outputs(model.network, batch).cpu().double().numpy())
        elements = batch.take(batch.lengths[:, None, None] - distances[None, None])
        elements = F.one_hot(elements, symbols) if symbols else elements
        targets.append(elements.cpu().double().numpy())
    return np.concatenate(outputs), np.concatenate(targets)


def _squared_errors(outputs: Array, targets: Array, others: Array, truths: Array, ridge: float) -> Array:
    """The mean squared error (D,) on `others` of a ridge regression fitted on `outputs`."""
    centre = outputs.mean(axis=0)
    x, other = outputs - centre, others - centre
    mean = targets.mean(axis=0)
    flat = (targets - mean).reshape(len(targets), -1)
    weights = np.linalg.solve(x.T @ x + ridge * len(x) * np.eye(x.shape[1]), x.T @ flat)
    predicted = (other @ weights).reshape(truths.shape) + mean
    return np.square(predicted - truths).mean(axis=0).sum(axis=-1)


def _pool(errors: Array, variance: Array, width: int) -> Array:
    """Error over variance, both summed over `width` neighbouring distances; nan where nothing varies."""
    kernel = np.ones(width)
    pooled_error, pooled_variance = (np.convolve(values, kernel, "same") for values in (errors, variance))
    varies = (variance > 1e-6 * variance.max()) & (variance > 1e-12)
    return np.divide(pooled_error, pooled_variance, out=np.full(len(errors), np.nan), where=varies)
