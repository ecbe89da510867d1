"""The memory curve: how much of the past a network's last output still holds, and its one number.

Independent of the method, so that a plain LSTM can be measured as well. From the network's output at the end of a row,
which is what the classifier sees, a linear readout gives the element d steps back, x[T-d], for every distance d. Its
error is squared error over variance: 0 is perfect, 1 knows no more than the mean. The number, "remembers N steps", is
the largest distance at which the readout still explains a quarter of the variance (error at most 0.75); 0 where
there is none. Where the input does not vary (blank steps) there is nothing to remember, and no error.

The readout is a ridge regression on the outputs as they are, with a ridge of at least 1e-4 per row. That is the same as
noise of 0.01 on every unit: echoes far below that, which even an untrained network keeps, do not count as memory.

Up to 300 symbols are one-hot. Where there are more, each gets a fixed random vector of 300 signs instead, which is a
random projection of one-hot: 50,000 words then cost what 300 do, and the error over variance is the same but for a
few percent of noise, because such a projection keeps squared distances on average and the readout is linear.

What a readout explains need not be remembered step by step: neighbouring elements tell of each other, and the class of
a row tells of all of it. `class_curve` is what the class alone explains; a network that has learned to classify is
expected to reach that, and remembers the row itself only below it.

A relative of the short-term memory capacity of Jaeger (2002), which sums 1 - error over all distances.
Not in the paper.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from backcast.batch import Batch
from backcast.build import TrainedModel
from backcast.data.sequences import Sequences
from backcast.data.splitting import draw_rows
from backcast.inference import last_outputs

FIT_ROWS, TEST_ROWS, MOST_DISTANCES = 2_000, 1_000, 2_000
MOST_NUMBERS = 5_000_000  # of targets at a time; 256 symbols over 2,000 steps would not fit in memory
MOST_SYMBOLS = 300  # that are one-hot; bytes are
EXPLAINED = 0.25
MOST_ERROR = 1.25  # that is drawn; a larger one lies at the upper border
TRUSTED = 30  # rows to measure on; with fewer, other rows would give quite another number
RIDGES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)  # per row; at least 0.01 squared

Array = NDArray[np.float64]


@dataclass(frozen=True)
class MemoryCurve:
    """distances (D,), steps back from the end, from 1; error (D,), pooled over neighbours, nan where nothing varies.

    rows  how many it was measured on
    """

    distances: NDArray[np.int64]
    error: Array
    rows: int

    @property
    def remembers_steps(self) -> int:
        """The largest distance at which the readout explains at least a quarter of the variance."""
        good = self.distances[np.nan_to_num(self.error, nan=np.inf) <= 1.0 - EXPLAINED]
        return int(good.max()) if len(good) else 0


def memory_curve(model: TrainedModel, fit_rows: Sequences, test_rows: Sequences) -> MemoryCurve:
    """What a readout of the network's last output explains.

    Fitted on up to 2,000 rows, the ridge chosen on every fifth of them; measured on up to 1,000 other rows.

    Where there are more, they are drawn, always the same ones.

    Distances go up to the median length of `fit_rows` or of `test_rows`, whichever is shorter (rows that do
    not reach that far are left out); at most 2,000 of them, evenly spaced. The error at a distance is pooled over a
    32nd of all distances, around it. Targets are what the network reads: standardised vectors, or symbols as
    `symbol_vectors`.
    """
    return _curve(model, fit_rows, test_rows, lambda batch: last_outputs(model.network, batch))


def class_curve(model: TrainedModel, fit_rows: Sequences, test_rows: Sequences) -> MemoryCurve:
    """The same of a readout of the row's class in the network's place (nothing of a row without a label)."""
    # The last row is that of -1, no label: zeros.
    one_hot = torch.eye(len(model.classes) + 1, device=model.device)[:, :-1]
    return _curve(model, fit_rows, test_rows, lambda batch: one_hot[batch.labels])


def _curve(
    model: TrainedModel, fit_rows: Sequences, test_rows: Sequences, known: Callable[[Batch], Tensor]
) -> MemoryCurve:
    """known  a batch's rows as the readout sees them, (B, H)"""
    reach = int(min(np.median(fit_rows.lengths), np.median(test_rows.lengths)))
    distances = np.unique(np.linspace(1, reach, min(reach, MOST_DISTANCES)).round().astype(np.int64))
    outputs, elements = _known_and_elements(model, _long_enough(fit_rows, reach, FIT_ROWS), distances, known)
    others, other_elements = _known_and_elements(
        model, _long_enough(test_rows, reach, TEST_ROWS), distances, known
    )
    held = np.arange(len(outputs)) % 5 == 0  # not the first fifth: a file may be sorted by class
    kept = ~held if len(outputs) > 1 else held
    errors, variances = [], []
    table = symbol_vectors(model.preprocessing.symbols)
    width = model.preprocessing.channels if table is None else table.shape[1]
    block = max(1, MOST_NUMBERS // (max(len(outputs), len(others)) * width))
    for first in range(0, len(distances), block):
        part = slice(first, first + block)
        targets, truths = (_as_vectors(each[:, part], table) for each in (elements, other_elements))
        best = np.argmin(
            [_squared_errors(outputs[kept], targets[kept], outputs[held], targets[held], r) for r in RIDGES],
            axis=0,
        )
        tried = np.array([_squared_errors(outputs, targets, others, truths, ridge) for ridge in RIDGES])
        errors.append(np.take_along_axis(tried, best[None], axis=0)[0])
        variances.append(np.square(truths - targets.mean(axis=0)).mean(axis=0).sum(axis=-1))
    neighbours = max(1, len(distances) // 32)
    pooled = _pool(np.concatenate(errors), np.concatenate(variances), neighbours)
    return MemoryCurve(distances, pooled, len(others))


def _long_enough(rows: Sequences, reach: int, most: int) -> Sequences:
    """At most `most` of the rows that reach so far; drawn, because the first of a file may all be of one class."""
    return draw_rows(rows.select(np.flatnonzero(rows.lengths >= reach)), most)


def _known_and_elements(
    model: TrainedModel, rows: Sequences, distances: NDArray[np.int64], known: Callable[[Batch], Tensor]
) -> tuple[Array, NDArray[Any]]:
    """What is known of the rows, (n, H), and elements (n, D[, C]) at the distances before them."""
    outputs, elements = [], []
    for batch in model.preprocessing.batches(rows, 128, model.device):
        outputs.append(known(batch).cpu().double().numpy())
        elements.append(batch.take(batch.lengths[:, None, None] - distances[None, None]).cpu().numpy())
    return np.concatenate(outputs), np.concatenate(elements)


def symbol_vectors(symbols: int) -> NDArray[Any] | None:
    """A target vector for each symbol, (symbols, at most 300), one byte per number; None where there are no symbols.

    Signs are not scaled to length 1: that cancels in error over variance.
    """
    if not symbols:
        return None
    if symbols <= MOST_SYMBOLS:
        return np.eye(symbols, dtype=np.int8)
    return np.random.default_rng(0).choice(np.array([-1, 1], np.int8), (symbols, MOST_SYMBOLS))


def _as_vectors(elements: NDArray[Any], table: NDArray[Any] | None) -> Array:
    """Elements (n, D[, C]) as targets of a regression: (n, D, C)."""
    return (elements if table is None else table[elements]).astype(np.float64)


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
