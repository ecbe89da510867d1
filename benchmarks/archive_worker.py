"""One contender on one data set with one seed, measured in the process that runs this file.

    python benchmarks/archive_worker.py '{"data": "ACSF1", "contender": "ROCKET", "seed": 0, "smoke": false}'

The last line it prints is JSON: accuracy on the test rows (0 to 1), fit_seconds, predict_seconds, and peak_bytes, the
most memory it held in fit and predict above what it held before. Before means: everything is imported and loaded, and
a tiny fit and predict are over, so that compilers have run and threads exist. None of that is in the seconds either.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from typing import Any

import numpy as np
from archive_contenders import NAMED, Contender

from backcast.benchmark.machine import forget_peak, resident_bytes

WARM_UP_STEPS = 100
ROWS_PER_CLASS = 2
"""In the warm-up and in a smoke run."""


def measure(contender: Contender, data: str, seed: int, smoke: bool) -> dict[str, Any]:
    """The numbers that the module's docstring describes."""
    train, labels = _rows(data, "train", contender.channels)
    test, truth = _rows(data, "test", contender.channels)
    few = _few_of_each(labels)
    if smoke:
        train, labels = train[few], labels[few]
        few = np.arange(len(labels))
    with tempfile.TemporaryDirectory() as folder:
        warm = contender.build(seed, True, f"{folder}/")
        short = train[few][..., :WARM_UP_STEPS]
        warm.fit(short, labels[few]).predict(short)
        del warm
        model = contender.build(seed, smoke, f"{folder}/")
        before = resident_bytes()
        forget_peak()
        began = time.perf_counter()
        model.fit(train, labels)
        fitted = time.perf_counter()
        predicted = model.predict(test)
        ended = time.perf_counter()
        peak = resident_bytes(peak=True)
    return {
        "accuracy": float((predicted == truth).mean()),
        "fit_seconds": fitted - began,
        "predict_seconds": ended - fitted,
        "peak_bytes": None if before is None or peak is None else max(0, peak - before),
    }


def _rows(data: str, split: str, channels: bool) -> tuple[np.ndarray, np.ndarray]:
    """(n, 1, T) or (n, T), and their labels; from the files that aeon ships."""
    from aeon.datasets import load_classification

    x, y = load_classification(data, split=split)
    return x if channels else x[:, 0], y


def _few_of_each(labels: np.ndarray) -> np.ndarray:
    """The first rows of every class, in order."""
    found = [np.flatnonzero(labels == label)[:ROWS_PER_CLASS] for label in np.unique(labels)]
    return np.sort(np.concatenate(found))


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    job = json.loads(sys.argv[1])
    print(json.dumps(measure(NAMED[job["contender"]], job["data"], job["seed"], job["smoke"])))
