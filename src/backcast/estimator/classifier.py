"""`BackcastClassifier`: a class for every sequence."""

from __future__ import annotations

import math
import warnings
from copy import copy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn.base import ClassifierMixin
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.validation import check_is_fitted, column_or_1d

from backcast.build import TrainedModel, choose_device
from backcast.config import Config
from backcast.data.sequences import Sequences, read_as
from backcast.data.store.labels import WHOLE, encode_labels, is_missing
from backcast.errors import InputError
from backcast.estimator.supervised import (
    SupervisedEstimator,
    having,
    require_one_each,
    require_pairs,
    row_weights,
    with_weights,
)

# Without a number in it, so that Python shows it once, not for every fold.
MINUS_ONE = (
    "rows of y that are -1 are taken as rows without a label; if -1 is a class, set missing_label=None; "
    "if it is not, None or NaN in its place says so without this warning"
)

CUT = (
    "a class is '-', which is what NumPy makes of -1 among words of one letter; if rows without a label are meant, give "
    "labels as a list or as objects; if not, set missing_label=None"
)

NAN_TEXT = (
    "rows of y that are the text 'nan', which is what NumPy makes of NaN among words, are taken as rows without a label; "
    "if it is a class, give it another name; if it is not, None in its place says so without this warning"
)


@dataclass(eq=False, repr=False, kw_only=True)
class BackcastClassifier(ClassifierMixin, SupervisedEstimator):
    """A scikit-learn classifier of sequences: phase 1 without labels, then phase 2 (the paper's section 3).

    Besides the parameters of `SupervisedEstimator` and `BackcastEstimator`:

    class_weight   None: all classes the same; "balanced", or a dictionary of classes and weights, as everywhere in
                   scikit-learn. The rows that choose the epoch are weighted in the same way
    missing_label  the label that means "none"; None: only None, NaN (also as text), pandas' NA and "" do, and -1 is a
                   class. A warning is given where -1 may have been meant as one (beside other whole numbers, on less than
                   half of the rows), and where NaN is a text

    classes_         (classes,) in order
    network_         the trained network
    model_           what `load_model` gives for a run: for `StreamSession`, `memory_curve`, `save_pretrained`
    history_         one dictionary of metrics per epoch
    n_features_in_   T, where X was an array (n, T)
    """

    class_weight: Any = None
    missing_label: Any = -1

    def fit(
        self, X: Any, y: Any, X_val: Any = None, y_val: Any = None, *, sample_weight: Any = None
    ) -> BackcastClassifier:
        """Trains anew, or after `pretrain` from its weights.

        X              (n, T) or (n, T, C) numbers; a list of arrays (T,) or (T, C) of any lengths, of strings or of
                       bytes; a pandas DataFrame with a column per step; a column of texts or arrays. Whole numbers from
                       0 and words are symbols (`kind`)
        y              (n,) labels of one type; rows labelled -1 (`missing_label`) or None only train the auxiliary loss
        X_val, y_val   rows that choose the epoch, in place of a share of X
        sample_weight  (n,) at least 0: how much each row's label counts, also of those held out to choose the epoch, but not of
                       X_val; a row of weight 0 is left out altogether

        Raises InputError (a ValueError) for what does not fit.
        """
        config = self._training_config()
        labels = as_labels(y, "y")
        seen = copy(self)
        rows = seen._rows(X, config, config.kind, fitting=True)
        require_one_each(labels, rows, "y")
        weights = row_weights(sample_weight, len(rows))
        codes, classes = self._encoded(labels, weights > 0)
        present = codes >= 0
        table = compute_class_weight(self.class_weight, classes=classes, y=classes[codes[present]])
        for name, weight in zip(classes.tolist(), table.tolist(), strict=True):
            if not (math.isfinite(weight) and weight >= 0):
                raise InputError(f"class_weight of {name!r} is {weight}; it must be finite and not negative")
        weights[present] *= table[codes[present]]
        rows = with_weights(replace(rows, labels=codes, classes=tuple(classes.tolist())), weights)
        validation = None
        if require_pairs(X_val, y_val):
            validation = seen._validation_rows(X_val, y_val, config, rows, table)
        self._phase_2(rows, validation, config, outputs=len(classes), seen=seen)
        self.classes_ = classes  # only now: where training fails, the network of before keeps its own
        return self

    def predict(self, X: Any) -> NDArray[Any]:
        """(n,): the most likely class of each row. Raises NotFittedError, InputError."""
        likeliest = self.predict_proba(X).argmax(axis=1)
        return self.classes_[likeliest]

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """(n, classes). Raises NotFittedError, InputError."""
        rows = self._rows_to_read(X)
        found: NDArray[np.float64] = softmax(self.network_.logits(rows, self.device), axis=1)
        return found

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """The share of rows that are right, 0 .. 1, of those with a label. Raises NotFittedError, InputError."""
        names = self._names(as_labels(y, "y"))
        X, sample_weight = having([name is not None for name in names], X, sample_weight)
        found: float = super().score(X, np.array([name for name in names if name is not None]), sample_weight)
        return found

    @property
    def model_(self) -> TrainedModel:
        """The fitted network itself, not a copy, with its classes, on `device`. Raises NotFittedError, InputError.

        It reads all steps that it is given: `max_length` cuts rows only for the methods of this estimator.
        """
        check_is_fitted(self)
        fitted, device = self.network_, choose_device(self.device)
        classes = tuple(self.classes_.tolist())
        return TrainedModel(
            fitted.network.to(device), fitted.preprocessing, classes, fitted.config, None, device
        )

    def _validation_rows(
        self, X: Any, y: Any, config: Config, train: Sequences, weights: NDArray[np.float64]
    ) -> Sequences:
        """`weights` (classes,): how much a row of each class counts."""
        rows = self._rows(X, config, read_as(train.kind), fitting=False)
        labels = as_labels(y, "y_val")
        require_one_each(labels, rows, "y_val")
        codes, classes = encode_labels(self._names(labels), "y_val")
        known = replace(rows, name="y_val", labels=codes, classes=classes).relabel(train.classes)
        present = known.select(np.flatnonzero(known.labelled))
        if not len(present):
            raise InputError("no row of y_val has a label, so X_val chooses nothing; leave both out")
        return with_weights(present, weights[present.labels])

    def _names(self, labels: NDArray[Any]) -> list[Any]:
        """The labels, with None for a missing one."""
        missing = self._missing
        in_words = None if missing is None else str(missing)  # NumPy makes -1 among words "-1"
        return [
            None if is_missing(label) or label in (missing, in_words) else label for label in labels.tolist()
        ]

    @property
    def _missing(self) -> Any:
        """`missing_label`; None where it is one that is no label anyway."""
        return None if is_missing(self.missing_label) else self.missing_label

    def _encoded(
        self, labels: NDArray[Any], counted: NDArray[np.bool_]
    ) -> tuple[NDArray[np.int64], NDArray[Any]]:
        """Numbers into the classes, -1 where there is no label or the row is not `counted`, and the classes."""
        names = [name if used else None for name, used in zip(self._names(labels), counted, strict=True)]
        for row, name in enumerate(names):
            if isinstance(name, float) and not math.isnan(name) and not name.is_integer():
                raise InputError(
                    f"Unknown label type: continuous. Row {row} of y is {name}; a class is a whole number, a text or a "
                    "boolean. For real targets there is BackcastRegressor"
                )
        codes, classes = encode_labels(names, "y")
        if not classes:
            raise InputError(
                "no row of y has a label; pretrain(X) and BackcastEncoder learn without any, fit needs some of two classes"
            )
        if len(classes) == 1:
            hint = f" ({self.missing_label!r} is no label; if it is a class, set missing_label=None)"
            raise InputError(
                f"every label of y is {classes[0]!r}, which is one class; there must be at least two classes"
                + (hint if self._names(labels).count(None) else "")
            )
        if self._may_be_a_class(labels, classes):
            warnings.warn(MINUS_ONE, UserWarning, stacklevel=3)
        if labels.dtype == "U1" and "-" in classes and self._missing == -1:
            warnings.warn(CUT, UserWarning, stacklevel=3)
        if not _is_nan_text(self.missing_label) and any(map(_is_nan_text, labels.tolist())):
            warnings.warn(NAN_TEXT, UserWarning, stacklevel=3)
        # Without the type NumPy would make 1 and 2**64 - 1 floats.
        return codes, np.array(classes, dtype=None if labels.dtype == object else labels.dtype)

    def _may_be_a_class(self, labels: NDArray[Any], classes: tuple[Any, ...]) -> bool:
        """Whether -1, taken for "no label", looks like one of the classes, as in -1, 0, 1 or "-1", "0", "1".

        scikit-learn's semi-supervised estimators never ask. Rows without a label are usually the most, so who means them
        is asked only where they are few.
        """
        whole = all(isinstance(one, int) or WHOLE.fullmatch(str(one)) for one in classes)
        if self._missing != -1 or not whole:
            return False
        count = sum(not is_missing(label) and label in (-1, "-1") for label in labels.tolist())
        return 0 < 2 * count < len(labels)


def _is_nan_text(label: Any) -> bool:
    return isinstance(label, str) and label.lower() == "nan"


def as_labels(y: Any, name: str) -> NDArray[Any]:
    """(n,) labels of one type, or objects. Raises ValueError for what is no column."""
    if y is None:
        raise InputError(
            f"BackcastClassifier.fit requires {name} to be passed, but the target {name} is None; labels are (n,)"
        )
    if isinstance(y, (list, tuple)) and len({isinstance(one, str) for one in y}) == 2:
        y = np.array(y, dtype=object)  # NumPy would make 1 and "a" two strings
    array: NDArray[Any] = column_or_1d(y, warn=True)
    return array
