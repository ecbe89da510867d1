"""`BackcastEncoder`: what a network still knows of a sequence at its end, as features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import Tags

from backcast.estimator.base import BackcastEstimator
from backcast.estimator.rows import fitted_like


@dataclass(eq=False, repr=False, kw_only=True)
class BackcastEncoder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BackcastEstimator):
    """A transformer: `fit` trains phase 1 (the paper's section 3) without labels, `transform` gives the state.

    Parameters: see `BackcastEstimator`. `method` must have an auxiliary loss.

    network_   the trained network
    history_   one dictionary of metrics per epoch
    """

    def fit(self, X: Any, y: Any = None) -> BackcastEncoder:
        """X as in `BackcastClassifier.fit`; y is not used. Raises InputError."""
        self.network_, seen = self._phase_1(X)
        fitted_like(self, seen)
        self._n_features_out = self.network_.config.hidden_size
        return self

    def transform(self, X: Any) -> NDArray[np.float32]:
        """The network's output h at the last step of each row, (n, hidden_size). Raises NotFittedError, InputError."""
        rows = self._rows_to_read(X)
        return self.network_.features(rows, self.device)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        # Networks compute in float32, whatever they are given.
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags
