"""X in the forms that scikit-learn users have: arrays, lists, tables and columns become rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.base import BaseEstimator
from sklearn.utils.validation import validate_data

from backcast.data.forms.python_objects import from_python, from_torch
from backcast.data.reading import Reading
from backcast.data.sequences import Sequences
from backcast.errors import InputError, python_words

SEEN = ("n_features_in_", "feature_names_in_")
"""What scikit-learn notes of X, for arrays (n, T) and tables."""
FORMS = "X must be an array (n, T) or (n, T, C), a list of arrays, of strings or of bytes, or a pandas column of them"


def read_rows(estimator: BaseEstimator, X: Any, reading: Reading, fitting: bool) -> Sequences:
    """The rows of X, without labels.

    Arrays (n, T) are checked as everywhere in scikit-learn: `fitting` sets `n_features_in_` (and `feature_names_in_`),
    and later arrays must have as many steps; see `fitted_like`. Other forms have no number of features: rows may have any length.

    Raises InputError, and scikit-learn's own errors for bad arrays (n, T).
    """
    X = _form(X)
    if fitting:
        for name in SEEN:
            vars(estimator).pop(name, None)
    if _is_matrix(X):
        steps = X.shape[1] if len(X.shape) == 2 else None
        expected = getattr(estimator, "n_features_in_", None)
        if steps is not None and expected is not None and steps != expected:
            raise InputError(
                f"X has {steps} features, but {type(estimator).__name__} is expecting {expected} features as input: an array "
                "(n, T) has as many steps as the one at fit. Rows of other lengths come as a list of arrays"
            )
        X = validate_data(estimator, X, reset=fitting, ensure_all_finite=False)
    with python_words():
        return from_python(X, reading).train


def fitted_like(estimator: BaseEstimator, seen: BaseEstimator) -> None:
    """`estimator` expects rows as `seen` does: the copy of it that read X, while training could still fail."""
    for name in SEEN:
        vars(estimator).pop(name, None)
        if name in vars(seen):
            setattr(estimator, name, getattr(seen, name))


def _form(X: Any) -> Any:
    """X as an array, a list of rows, a sparse matrix or a DataFrame."""
    if issparse(X):  # some sparse matrices are dictionaries, too
        return X
    if X is None or isinstance(X, (str, bytes, dict)) or np.isscalar(X):
        raise InputError(f"{FORMS}; it is a {type(X).__name__}")
    if hasattr(X, "columns") and hasattr(X, "iloc"):  # one column of texts or arrays is a column of rows
        if X.shape[1] == 1 and X.dtypes.iloc[0].kind not in "fiub":
            return list(X.iloc[:, 0])
        return X
    X = from_torch(X, "X")
    if isinstance(X, (list, tuple)):
        plain = _as_array(X) if X and not any(hasattr(row, "__array__") for row in X) else None
        return list(X) if plain is None else plain
    if not hasattr(X, "__array__"):
        try:
            return list(X)
        except TypeError:
            raise InputError(f"{FORMS}; it is a {type(X).__name__}") from None
    array = np.asanyarray(X)
    if np.ma.is_masked(array):
        raise InputError("X is masked; say what the masked values are, for instance X.filled(np.nan)")
    return list(array) if array.ndim == 1 and array.dtype.kind in "OUST" else array


def _as_array(rows: Any) -> np.ndarray[Any, Any] | None:
    """A list of numbers, or of equally long lists of numbers, as an array; None for anything else."""
    try:
        array = np.array(rows)
    except (ValueError, OverflowError):  # of different lengths
        return None
    return array if array.dtype.kind in "fiub" else None


def _is_matrix(X: Any) -> bool:
    """Whether scikit-learn checks X: not if it is an array of three dimensions or a list of rows."""
    return not isinstance(X, list) and not (isinstance(X, np.ndarray) and X.ndim > 2)
