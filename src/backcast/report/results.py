"""The runs of a report, read and measured: groups of runs that differ in their seed alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from backcast.build import TrainedModel, load_model
from backcast.config import FIELDS, Config, flag
from backcast.data.sequences import Sequences
from backcast.data.sources import load
from backcast.errors import InputError
from backcast.history import read_metrics
from backcast.report.memory import MemoryCurve, memory_curve
from backcast.run import METRICS, prepare, read_config, read_environment

IGNORED = ("seed", "data_dir", "device", "checkpoint_minutes")


@dataclass(frozen=True)
class RunResult:
    """One run, measured. `accuracy` is of the report's split, 0 .. 1; None where the run classifies nothing."""

    path: Path
    config: Config
    model: TrainedModel
    environment: dict[str, Any]
    epochs: list[dict[str, Any]]
    accuracy: float | None
    memory: MemoryCurve

    @property
    def parameters(self) -> int:
        return sum(parameter.numel() for parameter in self.model.network.parameters())


@dataclass(frozen=True)
class Group:
    """Runs that differ in their seed alone."""

    name: str
    runs: list[RunResult]

    @property
    def config(self) -> Config:
        return self.runs[0].config

    @property
    def accuracy(self) -> str:
        """Percent: mean, and standard deviation over seeds where there are several."""
        values = [100 * run.accuracy for run in self.runs if run.accuracy is not None]
        if not values:
            return "–"
        if len(values) == 1:
            return f"{values[0]:.2f}"
        return f"{np.mean(values):.2f} ± {np.std(values, ddof=1):.2f}"

    @property
    def remembers(self) -> str:
        values = [run.memory.remembers_steps for run in self.runs]
        return (
            f"{np.mean(values):.0f}"
            if len(values) == 1
            else f"{np.mean(values):.0f} ({min(values)} – {max(values)})"
        )

    @property
    def seconds(self) -> float:
        return float(np.mean([run.epochs[-1]["seconds"] for run in self.runs]))

    @property
    def settings(self) -> str:
        """The settings that are not the defaults."""
        shown = []
        for name, field in FIELDS.items():
            value = getattr(self.config, name)
            if name not in (*IGNORED, "data", "method") and value != field.default:
                shown.append(f"{flag(name)} {_text(value)}")
        return " ".join(shown)


@dataclass(frozen=True)
class Results:
    """All groups, and the rows they were measured on. `split` says which those are."""

    groups: list[Group]
    train: Sequences
    measured: Sequences
    split: str


def collect(paths: list[Path], data_dir: str | None, say: Callable[[str], None]) -> Results:
    """Reads and measures the runs. Raises InputError for what is no finished run, or runs on different data."""
    configs = [read_config(path) for path in paths]
    for path, config in zip(paths, configs, strict=True):
        if config.data != configs[0].data:
            raise InputError(
                f"{path}: was trained on {config.data}, {paths[0]} on {configs[0].data}; one report is about one data set"
            )
    train, measured, split = _rows(configs[0], data_dir)
    runs = []
    for path, config in zip(paths, configs, strict=True):
        model = load_model(path)
        epochs = read_metrics(path / METRICS)
        if not epochs:
            raise InputError(
                f"{path}: has no finished epoch yet; go on with: backcast train --resume --out {path}"
            )
        model.preprocessing.check(measured)
        labelled = bool(model.classes) and bool((measured.labels >= 0).any())
        accuracy = model.accuracy(measured).accuracy if labelled else None
        if paths[1:]:
            say(f"measured {path}")
        runs.append(
            RunResult(
                path,
                config,
                model,
                read_environment(path),
                epochs,
                accuracy,
                memory_curve(model, train, measured),
            )
        )
    return Results(_groups(runs), train, measured, split)


def _rows(config: Config, data_dir: str | None) -> tuple[Sequences, Sequences, str]:
    """Training rows, rows to measure on, and what these are called."""
    assert config.data is not None
    where = data_dir if data_dir is not None else config.data_dir
    splits = load(
        config.data,
        data_dir=None if where is None else Path(where),
        limit=config.limit,
        kind=config.kind,
        missing_label=config.missing_label,
        permutation_seed=config.permutation_seed,
    )
    if splits.test is not None:
        return splits.train, splits.test, "test"
    prepared = prepare(config)
    if prepared.validation is not None:
        return prepared.train, prepared.validation, "validation"
    return prepared.train, prepared.train, "training"


def _groups(runs: list[RunResult]) -> list[Group]:
    found: dict[tuple[tuple[str, Any], ...], list[RunResult]] = {}
    for run in runs:
        key = tuple(
            (name, value) for name in FIELDS if name not in IGNORED for value in [getattr(run.config, name)]
        )
        found.setdefault(key, []).append(run)
    compared = [name for name in FIELDS if name not in IGNORED]
    differing = [name for name in compared if len({dict(key)[name] for key in found}) > 1]
    groups = []
    for key, members in found.items():
        settings = dict(key)
        name = settings["method"]
        if len(members) == 1:
            name = members[0].path.resolve().name
        elif [other["method"] for other in map(dict, found)].count(name) > 1:
            others = [
                f"{flag(setting)} {_text(settings[setting])}" for setting in differing if setting != "method"
            ]
            name = f"{name} {' '.join(others)}"
        groups.append(Group(name, members))
    names = [group.name for group in groups]
    return [Group(str(g.runs[0].path), g.runs) if names.count(g.name) > 1 else g for g in groups]


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(map(str, value)) or "none"
    return "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
