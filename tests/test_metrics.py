"""The scores are those of scikit-learn, absent classes included."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score, confusion_matrix, f1_score

from backcast.metrics import Scores


@pytest.mark.parametrize("seed", range(30))
def test_scores_are_those_of_scikit_learn(seed: int) -> None:
    generator = np.random.default_rng(seed)
    classes, count = int(generator.integers(2, 12)), int(generator.integers(1, 60))
    true_classes = generator.choice(classes, generator.integers(1, classes + 1), replace=False)
    named = generator.choice(classes, generator.integers(1, classes + 1), replace=False)
    labels, predicted = generator.choice(true_classes, count), generator.choice(named, count)
    scores = Scores.of(labels, predicted, classes, 0.5)
    np.testing.assert_array_equal(
        scores.confusion, confusion_matrix(labels, predicted, labels=range(classes))
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of classes that are predicted but do not occur
        balanced = balanced_accuracy_score(labels, predicted)
    assert scores.accuracy == pytest.approx(accuracy_score(labels, predicted))
    assert scores.balanced_accuracy == pytest.approx(balanced)
    assert scores.macro_f1 == pytest.approx(f1_score(labels, predicted, average="macro"))
    found = scores.to_json()
    assert found["correct"] == (labels == predicted).sum() and found["rows"] == count and found["loss"] == 0.5


def test_naming_the_commonest_class_is_accurate_but_not_balanced() -> None:
    scores = Scores.of(np.array([0] * 98 + [1, 1]), np.zeros(100, np.int64), 2, 0.0)
    assert scores.accuracy == 0.98 and scores.balanced_accuracy == 0.5 and scores.macro_f1 < 0.5
