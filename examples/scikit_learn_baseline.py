"""A scikit-learn baseline for any DATA of real vectors, to compare a network's accuracy with.

    python examples/scikit_learn_baseline.py DATA [TEST]

Each row becomes a fixed number of features: every channel stretched to 64 points, its mean, standard deviation,
smallest and largest value, and the row's length. The classifiers are 500 random trees, and logistic
regression on standardised features. TEST is needed where DATA has no test split. Prints the accuracy on the test rows.
"""

from __future__ import annotations

import sys

import numpy as np
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from backcast import load
from backcast.data.sequences import Sequences

POINTS = 64
SEEDS = range(3)


def features(rows: Sequences) -> np.ndarray:
    """Rows of real vectors to (n, features)."""
    found = []
    for i in range(len(rows)):
        row = np.asarray(rows.row(i), np.float64)
        places = np.linspace(0, len(row) - 1, POINTS)
        stretched = [np.interp(places, np.arange(len(row)), channel) for channel in row.T]
        summary = [row.mean(axis=0), row.std(axis=0), row.min(axis=0), row.max(axis=0), [len(row)]]
        found.append(np.concatenate([*stretched, *summary]))
    return np.stack(found)


def main() -> None:
    splits = load(sys.argv[1])
    if splits.train.is_symbols:
        raise SystemExit(f"{sys.argv[1]}: holds symbols; this baseline reads real vectors")
    test = splits.test if len(sys.argv) < 3 else load(sys.argv[2]).train
    if test is None:
        raise SystemExit("no test rows: name a second file")
    x, y = features(splits.train), splits.train.labels
    x_test, y_test = features(test), test.relabel(splits.train.classes).labels
    trees = [ExtraTreesClassifier(500, random_state=seed).fit(x, y).score(x_test, y_test) for seed in SEEDS]
    linear = (
        make_pipeline(StandardScaler(), LogisticRegression(max_iter=5000)).fit(x, y).score(x_test, y_test)
    )
    print(
        f"extremely random trees {100 * np.mean(trees):.1f} ± {100 * np.std(trees, ddof=1):.1f} % (seeds 0 to 2)"
    )
    print(f"logistic regression    {100 * linear:.1f} %")


if __name__ == "__main__":
    main()
