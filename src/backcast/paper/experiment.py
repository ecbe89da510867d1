"""What an experiment is, and what running it finds: the terms that the rest of this folder uses."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, NamedTuple

from backcast.config import resolve

RESULTS_VERSION = 1
"""Goes up whenever the same settings would compute something else; results of another version are not shown."""

Form = Literal["table", "curves", "against length", "against steps", "ablation"]
Quantity = Literal["accuracy", "error"]
NOT_THE_CONFIGURATION = ("seed", "data_dir", "device", "checkpoint_minutes")
LATER_SETTINGS = {"forget_gate_bias": 1.0}
"""Settings that came after this version, with the value that runs before had without saying so."""

Status = Literal["finished", "failed", "infeasible", "no data"]


class Published(NamedTuple):
    """A number of the paper: percent, seconds, or points.

    approximate  read off a plot
    """

    value: float
    approximate: bool = False


@dataclass(frozen=True)
class Cell:
    """One place of a table, or one point of a figure: a configuration, run once per seed.

    row, column  its place: names from the experiment's `rows` and `columns`
    settings     of `backcast.config.Config`: all that differ from the defaults, except the seed
    published    the paper's number there, None where it has none
    x            its position on a figure's axis (steps), None in a table
    """

    row: str
    column: str
    settings: Mapping[str, Any]
    published: Published | None = None
    x: int | None = None
    published_seconds: Published | None = None  # of a training step, figure 3's lower half

    @cached_property
    def checksum(self) -> str:
        """Names the configuration, defaults included: cells of different tables that are the same run share it."""
        whole = resolve([self.settings]).to_dict()
        settings = {name: value for name, value in whole.items() if name not in NOT_THE_CONFIGURATION}
        for name, before in LATER_SETTINGS.items():
            if settings[name] == before:
                del settings[name]
        text = json.dumps([RESULTS_VERSION, settings], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Claim:
    """A statement about two cells: that `better` has the higher accuracy (the lower error) of the two.

    better, worse   (row, column)
    text            as a sentence, "r-LSTM beats a truncated LSTM on MNIST"
    ours            a question of ours; the paper does not say so
    """

    text: str
    better: tuple[str, str]
    worse: tuple[str, str]
    ours: bool = False


@dataclass(frozen=True)
class Experiment:
    """A table or a figure of the paper (or one of ours in the same form), at one scale.

    name        "table2", "figure4", "extension-gru"
    title       one line: what the paper calls it
    form        how it is drawn: a table, curves over training, accuracy against `Cell.x`, or losses of accuracy in
                points against the first row (the ablation)
    quantity    what a table shows, percent of the test rows
    caption     what a reader must know about this scale: data, rows, epochs, lengths
    rows, columns   in the paper's order
    """

    name: str
    title: str
    scale: str
    form: Form
    quantity: Quantity
    caption: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    cells: tuple[Cell, ...]
    claims: tuple[Claim, ...] = ()

    @property
    def read_off(self) -> bool:
        """Is any of the paper's numbers read off a plot?"""
        numbers = [number for cell in self.cells for number in (cell.published, cell.published_seconds)]
        return any(number is not None and number.approximate for number in numbers)

    def cell(self, row: str, column: str) -> Cell | None:
        """The cell at this place, None where there is none (the paper's dash)."""
        return next((cell for cell in self.cells if (cell.row, cell.column) == (row, column)), None)


class CurvePoint(NamedTuple):
    """After an epoch of a phase that classifies: training steps so far, and accuracies of 0 .. 1."""

    step: int
    train_accuracy: float
    test_accuracy: float


@dataclass(frozen=True)
class RunResult:
    """One run of a configuration with one seed.

    status    "failed", "infeasible" (one row exceeds the memory budget) and "no data" have a `reason` and no numbers
    accuracy  on the test rows, 0 .. 1
    seconds   of training; `seconds_per_step` is the median over the last phase's epochs of their mean
              (without the run's first epoch where there are others)
    device    "AMD EPYC …, 1 thread" or the GPU's name; both, "…, then …", of a run that went on elsewhere
    jobs      runs at a time on that machine
    kept_bytes  what a step on one row keeps for backward, where it was measured
    data_sha256, test_sha256   of the training rows and of the test rows; the second is empty in earlier results
    command   that runs it again
    """

    checksum: str
    seed: int
    status: Status
    reason: str = ""
    accuracy: float | None = None
    train_accuracy: float | None = None
    test_rows: int = 0
    train_rows: int = 0
    steps: int = 0
    epochs: tuple[int, ...] = ()
    seconds: float = 0.0
    seconds_per_step: float | None = None
    parameters: int = 0
    device: str = ""
    jobs: int = 1
    kept_bytes: int | None = None
    data_sha256: str = ""
    test_sha256: str = ""
    began: str = ""
    command: str = ""
    curve: tuple[CurvePoint, ...] = ()
    environment: Mapping[str, Any] = field(default_factory=dict)


Found = Mapping[str, tuple[RunResult, ...]]
"""Results by the checksum of their cell, in the order of the seeds."""


def beside(own: str, theirs: str) -> str:
    """Our name of a row or column, with the paper's where that differs."""
    return own if own == theirs else f"{own} (paper: {theirs})"


def of_paper(name: str) -> str:
    """The paper's name of a row or column that `beside` named."""
    return name.partition(" (paper: ")[2].removesuffix(")") or name


def of_ours(name: str) -> str:
    """Our name of a row or column that `beside` named."""
    return name.partition(" (paper: ")[0]
