"""What the classifier and the regressor share: phase 2, its parameters, weights and validation rows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from numbers import Integral
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import _safe_indexing, check_consistent_length

from backcast.config import Config
from backcast.data.describe import describe
from backcast.data.sequences import Sequences
from backcast.data.splitting import split_validation
from backcast.errors import InputError, in_python, python_words
from backcast.estimator.base import BackcastEstimator
from backcast.estimator.network import learn
from backcast.estimator.rows import fitted_like


@dataclass(eq=False, repr=False, kw_only=True)
class SupervisedEstimator(BackcastEstimator):
    """Parameters besides those of `BackcastEstimator`:

    validation  share of the labelled rows to hold out to choose the epoch; not used where `fit` is given X_val
    patience    epochs without a better one, judged by the validation rows, after which training ends; None: all epochs
    """

    recompute: bool = False
    joint: bool = True
    epochs: int = 40
    learning_rate: float = 1e-3
    halve_at: tuple[int, ...] = ()
    validation: float = 0.1
    patience: int | None = None

    def pretrain(self, X: Any) -> Self:
        """Trains phase 1 only, on rows without labels; every later `fit` starts from it and trains phase 2 only.

        It also fixes the statistics and the symbols. `clone` forgets all this. Raises InputError.
        """
        # What is fitted already goes on reading the rows it was fitted on.
        self.pretrained_, _ = self._phase_1(X)
        return self

    def _phase_2(
        self, rows: Sequences, validation: Sequences | None, config: Config, outputs: int, seen: Self
    ) -> None:
        """Trains on rows with labels or targets; holds some of them out where there are no `validation` rows.

        seen  the copy of this estimator that read them
        """
        if self.patience is not None and (not isinstance(self.patience, Integral) or self.patience < 1):
            raise InputError(f"patience={self.patience!r}: must be a whole number at least 1, or None")
        watch = self._watch(self.patience)
        watch.say(in_python(describe(rows, config.kind)))
        if validation is None:
            rows, validation = split_validation(rows, config.validation, config.seed)
        if self.patience is not None and validation is None:
            raise InputError(
                f"patience={self.patience} needs rows that choose the epoch, but validation={config.validation} of these "
                "holds none out; raise it, or give X_val and y_val"
            )
        start = getattr(self, "pretrained_", None)
        with python_words():
            self.network_ = learn(config, rows, validation, outputs=outputs, start=start, watch=watch)
        self.history_ = watch.epochs
        fitted_like(self, seen)

    def _training_config(self) -> Config:
        """The settings for `fit`: after `pretrain`, only phase 2, on rows read in the same way."""
        config = self._config()
        if (start := getattr(self, "pretrained_", None)) is not None:
            config = replace(config, kind=start.preprocessing.reads, pretrain_epochs=0)
        if not config.epochs:
            raise InputError("epochs=0 trains no predictions; say at least 1. pretrain(X) is phase 1 alone")
        return config


def row_weights(sample_weight: Any, count: int) -> NDArray[np.float64]:
    """`sample_weight` as (count,) checked numbers, a copy that the caller may change. Raises InputError."""
    if sample_weight is None:
        return np.ones(count)
    try:
        weights = np.array(sample_weight, np.float64)
    except (TypeError, ValueError):
        raise InputError("sample_weight must be numbers, one per row") from None
    if weights.ndim == 0:
        weights = np.full(count, float(weights))
    if weights.shape != (count,):
        raise InputError(
            f"sample_weight has the shape {weights.shape}; there are {count} rows, so it must be ({count},)"
        )
    if not np.isfinite(weights).all() or (weights < 0).any():
        raise InputError(
            f"sample_weight must be finite and not negative; row {int(np.argmin(np.where(np.isnan(weights), -1, weights)))} is not"
        )
    if not weights.any():
        raise InputError("every sample_weight is zero; at least one row must count")
    return weights


def with_weights(rows: Sequences, weights: NDArray[np.float64]) -> Sequences:
    """The rows that count, with weights whose mean over labelled rows is 1; no weights where those are all equal."""
    rows = replace(rows, weights=weights).select(np.flatnonzero(weights))
    assert rows.weights is not None
    own = rows.weights[rows.labelled]
    if not len(own):
        raise InputError("class_weight leaves no row that counts; at least two classes need a weight above 0")
    if (own == own[0]).all():
        return replace(rows, weights=None)
    return replace(rows, weights=rows.weights / own.mean())


def having(known: ArrayLike, X: Any, sample_weight: Any) -> tuple[Any, Any]:
    """X and sample_weight of the rows whose label or target is `known`. Raises InputError where there is none."""
    check_consistent_length(X, known, sample_weight)
    rows = np.flatnonzero(known)
    if not len(rows):
        raise InputError("no row of y has a label or a target, so there is nothing to score")
    weights = None if sample_weight is None else _safe_indexing(sample_weight, rows)
    return _safe_indexing(X, rows), weights


def require_pairs(X_val: Any, y_val: Any) -> bool:
    """Whether there are validation rows. Raises InputError where only one of the two is given."""
    if (X_val is None) != (y_val is None):
        raise InputError("X_val and y_val belong together: give both or neither")
    return X_val is not None


def require_one_each(y: NDArray[Any], rows: Sequences, name: str) -> None:
    if len(y) != len(rows):
        raise InputError(
            f"{name} has {len(y)} entries, but there are {len(rows)} rows in X; there must be one per row"
        )
