"""Every setting of a run, in one flat, frozen dataclass; read from flags, YAML and presets.

Layers, each overriding the one before: the defaults below, a preset, a YAML file, flags. This file imports nothing
heavy, so that `--help` answers at once.
"""

from __future__ import annotations

import dataclasses
import math
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backcast.data.reading import KINDS, Reading, joined
from backcast.errors import InputError, nearest
from backcast.methods import METHODS

NONE_WORDS = ("none", "null")


def _option(
    default: Any,
    group: str,
    help: str,
    *,
    kind: type | None = None,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
    optional: bool = False,
    many: bool = False,
    literal: bool = False,
) -> Any:
    """A field with what is needed to read and check it.

    Bounds are inclusive; `optional` allows none, as a default of none does; `literal` takes "none" as an ordinary word.
    """
    kind = kind or (str if default is None else type(default))
    metadata = {
        "group": group, "help": help, "kind": kind, "low": low, "high": high,
        "choices": choices, "optional": optional or default is None, "many": many, "literal": literal,
    }  # fmt: skip
    return dataclasses.field(default=default, metadata=metadata)


SMALLEST = 1e-12
DECODER_INPUTS = ("fed", "scheduled", "unfed")
READING = ("kind", "id", "x", "text", "label", "time", "wide", "header", "fill_missing", "side")
"""Settings that say how files are read: `data.reading.Reading`."""
DATA_OPTIONS = (*READING, "max_length", "missing_label", "data_dir", "permutation_seed")
"""Settings that say what is read from DATA, and how."""
DATA, METHOD, SEGMENTS, NETWORK, TRAINING = (
    "data", "method and truncation", "auxiliary loss", "network", "training",
)  # fmt: skip


@dataclass(frozen=True)
class Config:
    """The settings of one run. Fields are the flags of `backcast train`, with _ for -."""

    data: str | None = _option(None, DATA, "a built-in data set, a file, a folder or hf:owner/name")
    data_dir: str | None = _option(None, DATA, "local copies of the built-in sets, in the Hub's layout")
    unlabeled: str | None = _option(
        None, DATA, "more rows, whose labels (if any) are not used: they train the auxiliary loss"
    )
    from_run: str | None = _option(
        None, DATA, "start from the network of this run: pretrain once, fine-tune often"
    )
    missing_label: str | None = _option(
        None,
        DATA,
        "the label that means 'none', such as -1, nan or \"\"; rows without a label are refused unless this is given",
        literal=True,
    )
    kind: str = _option(
        "auto",
        DATA,
        "what the elements are; auto: text is characters, a list of whole numbers or words symbols",
        choices=KINDS,
    )
    id: str | None = _option(None, DATA, "column of the rows' ids; none: `id`")
    x: str | None = _option(
        None,
        DATA,
        "column of the elements, several for several channels; none: `x`, or with --wide and --time all that are left",
    )
    text: str | None = _option(None, DATA, "column of the text; none: `text`")
    label: str | None = _option(None, DATA, "column of the labels; none: `label`")
    time: str | None = _option(None, DATA, "column of the time: a table with one row per step")
    wide: bool = _option(False, DATA, "a table with one column per step")
    header: bool = _option(True, DATA, "CSV files begin with their columns' names; else these are 1, 2, 3 …")
    fill_missing: bool = _option(False, DATA, "take the last known value where one is missing")
    max_length: int | None = _option(
        None, DATA, "keep only this many steps at the beginning of a row", kind=int, low=1
    )
    side: int | None = _option(None, DATA, "scale pictures to side × side", kind=int, low=1, high=4096)
    labeled: float = _option(
        1.0, DATA, "share of the training labels to keep, by class and seed", low=SMALLEST, high=1.0
    )
    class_weights: str = _option(
        "none", DATA, "balanced: a rare class counts as much as a frequent one", choices=("none", "balanced")
    )
    validation: float = _option(
        0.1,
        DATA,
        "share of the training rows held out to choose the epoch; 0: none, the last epoch is taken",
        low=0.0,
        high=0.9,
    )
    limit: int | None = _option(
        None, DATA, "use only this many training rows, drawn at random, always the same ones", kind=int, low=1
    )
    permutation_seed: int = _option(0, DATA, "which pMNIST", low=0)

    method: str = _option(
        "r-lstm", METHOD, "what is trained; `backcast ls methods` explains", choices=tuple(METHODS)
    )
    truncation: int | None = _option(
        300,
        METHOD,
        "steps before the end of a row that carry the supervised gradient; none: all (full BPTT), 0: none reaches the network",
        kind=int,
        low=0,
        optional=True,
    )
    recompute: bool = _option(
        False,
        METHOD,
        "with --truncation none: the same gradient in memory of the square root of the length, for a third more work",
    )
    joint: bool = _option(True, METHOD, "keep the auxiliary loss in phase 2")

    anchors: int = _option(4, SEGMENTS, "segments per row, each with its own anchor and place (n)", low=1)
    segment_length: int = _option(100, SEGMENTS, "targets of a segment (l)", low=1)
    aux_truncation: int | None = _option(
        None,
        SEGMENTS,
        "r-LSTM: steps before an anchor that carry the auxiliary gradient; none: max(1, l // 2)",
        kind=int,
        low=1,
    )
    decoder_truncation: int | None = _option(
        None,
        SEGMENTS,
        "r-LSTM: cut the gradient inside the decoder at intervals of this many steps; none: not cut",
        kind=int,
        low=1,
    )
    decoder_input: str = _option(
        "unfed",
        SEGMENTS,
        "what the decoder is fed after the first element: the truth, the truth or its own output, nothing",
        choices=DECODER_INPUTS,
    )
    sampling_steps: int = _option(
        100_000, SEGMENTS, "scheduled: training steps until the truth is never fed", low=1
    )
    position_cue: bool = _option(True, SEGMENTS, "tell the decoder which place it reconstructs")
    backwards: bool = _option(True, SEGMENTS, "reconstruct segments from their end")
    predict_future: bool = _option(True, SEGMENTS, "segments may spread past their anchor")
    distant_past: bool = _option(True, SEGMENTS, "segments may lie in the distant past")

    hidden_size: int = _option(128, NETWORK, "cells of the main LSTM", low=1)
    embedding_size: int = _option(128, NETWORK, "width of the embedded input; 0: not embedded", low=0)
    decoder_hidden_size: int | None = _option(
        None, NETWORK, "width of the decoder; none: the main LSTM's", kind=int, low=1
    )
    decoder_layers: int = _option(2, NETWORK, "LSTM layers of the decoder, 1 or 2", low=1, high=2)
    feedforward_size: int = _option(
        256, NETWORK, "width of the hidden layers of the classifier and of the decoder's output", low=1
    )
    dropconnect: float = _option(
        0.5, NETWORK, "chance of dropping a weight of the second hidden layer", low=0.0, high=0.95
    )
    forget_gate_bias: float = _option(
        1.0, NETWORK, "what the bias of an LSTM's forget gates starts at", low=-20.0, high=20.0
    )

    pretrain_epochs: int = _option(20, TRAINING, "epochs of phase 1, only the auxiliary loss", low=0)
    epochs: int = _option(40, TRAINING, "epochs of phase 2", low=0)
    batch_size: int = _option(64, TRAINING, "rows per training step", low=1)
    optimizer: str = _option("adam", TRAINING, "what updates the weights", choices=("rmsprop", "adam"))
    pretrain_learning_rate: float = _option(1e-3, TRAINING, "of phase 1", low=SMALLEST, high=10.0)
    learning_rate: float = _option(1e-3, TRAINING, "of phase 2", low=SMALLEST, high=10.0)
    pretrain_halve_at: tuple[int, ...] = _option(
        (),
        TRAINING,
        "numbers of epochs of phase 1 after which its rate is halved, as 50,75",
        kind=int,
        low=1,
        many=True,
    )
    halve_at: tuple[int, ...] = _option(
        (),
        TRAINING,
        "numbers of epochs of phase 2 after which its rate is halved",
        kind=int,
        low=1,
        many=True,
    )
    clip_norm: float = _option(1.0, TRAINING, "largest norm of the gradient", low=SMALLEST)
    precision: str = _option("fp32", TRAINING, "bf16: mixed precision", choices=("fp32", "bf16"))
    seed: int = _option(0, TRAINING, "of everything random", low=0)
    device: str = _option("auto", TRAINING, "cpu, cuda, cuda:1; auto: a GPU where there is one")
    checkpoint_minutes: float = _option(
        5.0, TRAINING, "time between checkpoints within an epoch; each epoch ends with one", low=0.0
    )

    def __post_init__(self) -> None:
        object.__setattr__(self, "x", joined(self.x))
        for field in dataclasses.fields(self):
            object.__setattr__(self, field.name, _checked(field, getattr(self, field.name)))
        method = METHODS[self.method]
        if self.position_cue and not self.embedding_size and "reconstruction" in method.auxiliary:
            raise InputError(
                "--position-cue is added to the embedded input, so --embedding-size must not be 0; say --no-position-cue"
            )
        if self.recompute and self.truncation is not None:
            raise InputError("--recompute is a way to do full BPTT, so it needs --truncation none")
        if self.unlabeled is not None and not method.auxiliary:
            raise InputError(
                f"--unlabeled: rows without labels train the auxiliary loss, which {self.method} has not; choose another --method"
            )
        Reading(**{name: getattr(self, name) for name in READING})  # which refuses what excludes each other
        if not self.epochs and not (method.auxiliary and self.pretrain_epochs):
            raise InputError(
                "--epochs 0 leaves nothing to train; with an auxiliary loss, --pretrain-epochs may stand alone"
            )

    @property
    def auxiliary_truncation(self) -> int:
        """Steps before an anchor that carry a gradient: as set, or max(1, l // 2)."""
        return self.aux_truncation or max(1, self.segment_length // 2)

    def pretraining(self) -> Config | None:
        """Only phase 1, as a run of its own that others may start from; None where there is no such phase.

        Runs that differ only in phase 2 share it.
        """
        method = METHODS[self.method]
        if not (method.auxiliary and self.pretrain_epochs):
            return None
        own = PHASE_2_ONLY if method.joint else PHASE_2_ONLY - {"truncation"}
        kept = {name: value for name, value in self.to_dict().items() if name not in own}
        return Config(**{**kept, "epochs": 0, "from_run": None})

    def changed(self) -> dict[str, Any]:
        """The settings that differ from their defaults."""
        return {name: value for name in FIELDS if (value := getattr(self, name)) != FIELDS[name].default}

    def data_options(self) -> dict[str, Any]:
        """The settings that `data.sources.load` takes besides DATA, but for the limit, which is for training rows only."""
        return {name: getattr(self, name) for name in DATA_OPTIONS}

    def to_dict(self) -> dict[str, Any]:
        """All settings by name, as YAML can hold them; `Config(**settings)` is the way back."""
        return {name: list(v) if isinstance(v, tuple) else v for name, v in dataclasses.asdict(self).items()}


PHASE_2_ONLY = {
    "truncation",
    "recompute",
    "joint",
    "epochs",
    "learning_rate",
    "halve_at",
    "labeled",
    "class_weights",
    "missing_label",
}
"""Settings that phase 1 does not see, except that losses over the whole sequence use the truncation in phase 1, too."""
FIELDS = {field.name: field for field in dataclasses.fields(Config)}


def resolve(layers: Iterable[Mapping[str, Any]]) -> Config:
    """One Config from layers of settings, later ones overriding earlier ones.

    Raises InputError for a name that does not exist (with the nearest one) and a value out of its range.
    """
    merged: dict[str, Any] = {}
    for layer in layers:
        for name, value in layer.items():
            if name not in FIELDS:
                raise InputError(f"unknown setting '{name}'{nearest(name, FIELDS)}")
            merged[name] = value
    return Config(**merged)


def read_yaml(path: Path) -> dict[str, Any]:
    """The settings in a YAML file, each within its range; names may use _ or -. Raises InputError, which names the file."""
    import yaml

    try:
        loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: is not YAML: {' '.join(str(error).split())}") from None
    if loaded is None:
        return {}
    if not isinstance(loaded, dict):
        raise InputError(f"{path}: must hold `name: value` lines, not a {type(loaded).__name__}")
    settings = {str(name).replace("-", "_"): value for name, value in loaded.items()}
    for name, value in settings.items():
        if name not in FIELDS:
            raise InputError(f"{path}: unknown setting '{name}'{nearest(name, FIELDS)}")
        try:
            _checked(FIELDS[name], value)
        except InputError as error:
            raise InputError(f"{path}: {error}") from None
    return settings


def flag(name: str) -> str:
    """The name of a setting on the command line."""
    special = {"data": "DATA", "from_run": "--from"}
    return special.get(name) or "--" + name.replace("_", "-")


def as_flag(name: str, value: Any) -> str:
    """A setting as it is written in a shell."""
    if isinstance(value, bool):
        return flag(name) if value else flag(name).replace("--", "--no-", 1)
    text = ",".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
    if value is None or value in ((), []):
        text = "none"
    # Else a value with a hyphen in front would be read as an option.
    between = "=" if text.startswith("-") else " "
    return f"{flag(name)}{between}{shlex.quote(text)}"


def _checked(field: dataclasses.Field[Any], value: Any) -> Any:
    """The value of a field as its type, within its range; text is read as on the command line."""
    rules, name = field.metadata, flag(field.name)
    none = isinstance(value, str) and value.lower() in NONE_WORDS and not rules["literal"]
    if rules["many"]:
        value = () if none or value is None else value
        parts = [part for part in value.split(",") if part.strip()] if isinstance(value, str) else value
        if not isinstance(parts, (list, tuple)):
            parts = [parts]
        return tuple(sorted(_one(name, rules, part) for part in parts))
    if value is None or (none and rules["optional"]):
        if rules["optional"]:
            return None
        raise InputError(f"{name} needs a value")
    return _one(name, rules, value)


def _one(name: str, rules: Mapping[str, Any], value: Any) -> Any:
    kind = rules["kind"]
    if getattr(value, "ndim", None) == 0:  # NumPy scalars, as in a grid of parameters
        value = value.item()
    if kind is bool:
        if isinstance(value, bool):
            return value
        raise InputError(f"{name} {value}: must be true or false")
    if kind is str:
        if isinstance(value, (list, tuple, set, dict)):
            raise InputError(f"{name} {value}: must be text")
        text = str(value)
        if rules["choices"] and text not in rules["choices"]:
            raise InputError(
                f"{name} {text}: must be one of {', '.join(rules['choices'])}{nearest(text, rules['choices'])}"
            )
        return text
    word = "a whole number" if kind is int else "a number"
    try:
        if isinstance(value, bool):
            raise ValueError
        number = kind(value)
        if kind is int and not isinstance(value, (int, str)) and value != number:
            raise ValueError
    except (TypeError, ValueError, OverflowError):
        extra = " or none" if rules["optional"] else ""
        raise InputError(f"{name} {value}: must be {word}{extra}") from None
    if kind is int and abs(number) >= 2**63:
        raise InputError(f"{name} {value}: is too large; it must be below 2**63")
    low, high = rules["low"], rules["high"]
    if (
        not math.isfinite(number)
        or (low is not None and number < low)
        or (high is not None and number > high)
    ):
        if low == SMALLEST:
            bounds = "above 0" if high is None else f"above 0 and at most {high:g}"
        else:
            bounds = f"at least {low:g}" if high is None else f"between {low:g} and {high:g}"
        raise InputError(f"{name} {value}: must be {word} {bounds}")
    return number
