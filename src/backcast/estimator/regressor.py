"""`BackcastRegressor`: a real number for every sequence."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import RegressorMixin
from sklearn.utils.validation import column_or_1d

from backcast.data.sequences import read_as
from backcast.errors import InputError
from backcast.estimator.supervised import (
    SupervisedEstimator,
    having,
    require_one_each,
    require_pairs,
    row_weights,
    with_weights,
)


@dataclass(eq=False, repr=False, kw_only=True)
class BackcastRegressor(RegressorMixin, SupervisedEstimator):
    """A scikit-learn regressor of sequences: like `BackcastClassifier`, with one real target per row.

    From the last output, phase 2 learns the target, standardised by the training rows, by squared error. `score` is R².
    Parameters: see `SupervisedEstimator` and `BackcastEstimator`.

    target_mean_, target_scale_   of the targets given to `fit`, weighted as the rows are
    network_, history_, n_features_in_   as in `BackcastClassifier`
    """

    def fit(
        self, X: Any, y: Any, X_val: Any = None, y_val: Any = None, *, sample_weight: Any = None
    ) -> BackcastRegressor:
        """Trains anew, or after `pretrain` from its weights.

        X              as in `BackcastClassifier.fit`
        y              (n,) numbers; rows whose target is NaN or None train only the auxiliary loss
        X_val, y_val   rows that choose the epoch by their squared error, in place of a share of X
        sample_weight  (n,) at least 0: how much each row's error counts, also of those held out to choose the epoch, but not of
                       X_val; a row of weight 0 is left out altogether

        Raises InputError (a ValueError) for what does not fit.
        """
        config = self._training_config()
        targets = as_targets(y, "y")
        seen = copy(self)
        rows = seen._rows(X, config, config.kind, fitting=True)
        require_one_each(targets, rows, "y")
        weights = row_weights(sample_weight, len(rows))
        known = ~np.isnan(targets) & (weights > 0)
        if not known.any():
            raise InputError(
                "no row of y has a target (all are NaN); pretrain(X) and BackcastEncoder learn without any, fit needs some"
            )
        with np.errstate(over="ignore"):  # refused below
            mean = float(np.average(targets[known], weights=weights[known]))
        scale = _deviation(targets[known] - mean, weights[known]) or 1.0
        if not np.isfinite(scale):
            raise InputError(
                f"y is beyond what 64 bits can average: its targets lie in {targets[known].min():g} .. {targets[known].max():g}; "
                "give it in another unit"
            )
        rows = with_weights(replace(rows, targets=(targets - mean) / scale), weights)
        validation = None
        if require_pairs(X_val, y_val):
            validation = seen._rows(X_val, config, read_as(rows.kind), fitting=False)
            targets = as_targets(y_val, "y_val")
            require_one_each(targets, validation, "y_val")
            if np.isnan(targets).all():
                raise InputError("no row of y_val has a target, so X_val chooses nothing; leave both out")
            validation = replace(validation, targets=(targets - mean) / scale)
        self._phase_2(rows, validation, config, outputs=1, seen=seen)
        self.target_mean_, self.target_scale_ = mean, scale  # only now: training may have failed
        return self

    def predict(self, X: Any) -> NDArray[np.float64]:
        """(n,) numbers. Raises NotFittedError, InputError."""
        rows = self._rows_to_read(X)
        return self.target_mean_ + self.target_scale_ * self.network_.logits(rows, self.device)[:, 0]

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """R² over the rows with a target. Raises NotFittedError, InputError."""
        targets = as_targets(y, "y")
        known = ~np.isnan(targets)
        X, sample_weight = having(known, X, sample_weight)
        found: float = super().score(X, targets[known], sample_weight)
        return found


def _deviation(differences: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
    """The root of their mean square. Not finite where they are not.

    A power of two is divided out first, which rounds nothing, so that no square overflows or vanishes.
    """
    largest = float(np.abs(differences).max())
    if not np.isfinite(largest):
        return largest
    _, exponent = np.frexp(largest)
    squares = np.ldexp(differences, -exponent) ** 2
    return float(np.ldexp(np.sqrt(np.average(squares, weights=weights)), exponent))


def as_targets(y: Any, name: str) -> NDArray[np.float64]:
    """(n,) targets: finite, or NaN where there is none. Raises ValueError for what is no column of numbers."""
    if y is None:
        raise InputError(
            f"BackcastRegressor.fit requires {name} to be passed, but the target {name} is None; targets are (n,)"
        )
    column = column_or_1d(y, warn=True)
    try:
        targets = column.astype(np.float64)
    except (TypeError, ValueError):
        raise InputError(
            f"{name} holds {column.dtype}, not numbers; for classes there is BackcastClassifier"
        ) from None
    if np.isinf(targets).any():
        raise InputError(
            f"{name}: row {int(np.isinf(targets).argmax())} is infinite; drop such rows, or make it NaN for no target"
        )
    return targets
