"""Means over seeds and differences paired by seed, with the intervals they allow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Spread:
    """A few values of one quantity, one per seed.

    deviation   standard deviation (n - 1); None for one value
    low, high   95 % interval of the mean, by Student's t; None for one value
    """

    count: int
    mean: float
    deviation: float | None
    low: float | None
    high: float | None


def spread(values: Mapping[int, float]) -> Spread | None:
    """The spread of values by seed; None where there are none."""
    numbers = np.array(list(values.values()), np.float64)
    count = len(numbers)
    if count == 0:
        return None
    mean = float(numbers.mean())
    if count == 1:
        return Spread(1, mean, None, None, None)
    deviation = float(numbers.std(ddof=1))
    half = float(student.ppf((1 + CONFIDENCE) / 2, count - 1)) * deviation / count**0.5
    return Spread(count, mean, deviation, mean - half, mean + half)


def paired(one: Mapping[int, float], other: Mapping[int, float]) -> dict[int, float]:
    """`one` - `other`, for the seeds that both have."""
    return {seed: one[seed] - other[seed] for seed in sorted(one.keys() & other.keys())}
