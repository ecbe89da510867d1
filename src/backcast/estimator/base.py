"""What the three estimators share: parameters, and how X is read."""

from __future__ import annotations

import secrets
from copy import copy
from dataclasses import dataclass
from numbers import Integral
from typing import Any, Self

from sklearn.base import BaseEstimator
from sklearn.utils import Tags, check_random_state
from sklearn.utils.validation import check_is_fitted

from backcast.config import FIELDS, Config
from backcast.data.describe import describe
from backcast.data.reading import Reading
from backcast.data.sequences import Sequences
from backcast.errors import InputError, in_python, python_words
from backcast.estimator.network import FittedNetwork, Watch, learn
from backcast.estimator.rows import read_rows
from backcast.methods import METHODS


@dataclass(eq=False, repr=False, kw_only=True)
class BackcastEstimator(BaseEstimator):
    """Parameters are those of `Config`, with its names, ranges and defaults, checked at `fit`; also:

    random_state  seed of everything random: a whole number; a RandomState, to draw one from; None: a new one per fit
    verbose       print first what the rows are taken for, then a line per epoch
    """

    kind: str = "auto"
    fill_missing: bool = False
    max_length: int | None = None
    method: str = "r-lstm"
    truncation: int | None = 300
    anchors: int = 4
    segment_length: int = 100
    aux_truncation: int | None = None
    decoder_truncation: int | None = None
    decoder_input: str = "unfed"
    sampling_steps: int = 100_000
    position_cue: bool = True
    backwards: bool = True
    predict_future: bool = True
    distant_past: bool = True
    hidden_size: int = 128
    embedding_size: int = 128
    decoder_hidden_size: int | None = None
    decoder_layers: int = 2
    feedforward_size: int = 256
    dropconnect: float = 0.5
    forget_gate_bias: float = 1.0
    pretrain_epochs: int = 20
    pretrain_learning_rate: float = 1e-3
    pretrain_halve_at: tuple[int, ...] = ()
    batch_size: int = 64
    optimizer: str = "adam"
    clip_norm: float = 1.0
    precision: str = "fp32"
    device: str = "auto"
    random_state: Any = 0
    verbose: bool = False

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = bool(self.fill_missing)
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "network_")

    def _config(self, **changed: Any) -> Config:
        """The parameters as a `Config`. Raises InputError for one out of its range."""
        given = {name: value for name, value in self.get_params(deep=False).items() if name in FIELDS}
        # What a label means is settled before a Config is involved.
        given.pop("missing_label", None)
        with python_words():
            return Config(**{**given, "seed": _seed(self.random_state), **changed})

    def _rows(self, X: Any, config: Config, kind: str, fitting: bool) -> Sequences:
        rows = read_rows(self, X, Reading(kind=kind, fill_missing=config.fill_missing), fitting)
        return rows if config.max_length is None else rows.cut(config.max_length)

    def _rows_to_read(self, X: Any) -> Sequences:
        """Rows for the fitted network. Raises NotFittedError, InputError."""
        check_is_fitted(self)
        rows = self._rows(X, self.network_.config, self.network_.preprocessing.reads, fitting=False)
        with python_words():
            self.network_.preprocessing.check(rows)
        return rows

    def _watch(self, patience: int | None = None) -> Watch:
        name = type(self).__name__
        return Watch(lambda line: print(f"[{name}] {line}") if self.verbose else None, patience)

    def _phase_1(self, X: Any) -> tuple[FittedNetwork, Self]:
        """A network trained with the auxiliary loss only, and what `fitted_like` takes."""
        method = METHODS.get(self.method)  # an unknown one is refused below
        if method is not None and not (method.auxiliary and self.pretrain_epochs):
            with_loss = ", ".join(name for name, method in METHODS.items() if method.auxiliary)
            raise InputError(
                f"method={self.method!r} with pretrain_epochs={self.pretrain_epochs} has no training without labels; "
                f"choose one of {with_loss}, and pretrain_epochs above 0"
            )
        config, watch, seen = self._config(epochs=0), self._watch(), copy(self)
        rows = seen._rows(X, config, config.kind, fitting=True)
        watch.say(in_python(describe(rows, config.kind)))
        with python_words():
            network = learn(config, rows, outputs=0, watch=watch)
        self.history_ = watch.epochs
        return network, seen


def _seed(random_state: Any) -> int:
    if random_state is None:
        return secrets.randbits(31)
    if isinstance(random_state, Integral):
        return int(random_state)
    return int(check_random_state(random_state).randint(2**31 - 1))
