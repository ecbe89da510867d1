"""The runs of a report, read and measured: groups of runs that differ in their seed alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from backcast.build import TrainedModel, load_model
from backcast.config import FIELDS, READING, Config, flag
from backcast.data.sequences import Sequences, Splits
from backcast.data.sources import load
from backcast.data.splitting import split_validation
from backcast.errors import InputError
from backcast.history import read_metrics
from backcast.methods import phases
from backcast.metrics import Scores
from backcast.report.memory import MemoryCurve, memory_curve
from backcast.run import METRICS, read_config, read_environment

IGNORED = ("seed", "data_dir", "device", "checkpoint_minutes")


@dataclass(frozen=True)
class RunResult:
    """One run, measured on rows it was not trained on.

    `measured` differs from run to run where the data have no test split: each seed holds out its own rows.
    `scores` is None where the run classifies nothing.
    """

    path: Path
    config: Config
    model: TrainedModel
    environment: dict[str, Any]
    epochs: list[dict[str, Any]]
    measured: Sequences
    scores: Scores | None
    memory: MemoryCurve

    @property
    def accuracy(self) -> float | None:
        """0 .. 1."""
        return None if self.scores is None else self.scores.accuracy

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
    def scale(self) -> str:
        """How much it was trained: rows and epochs."""
        rows = self.runs[0].environment.get("rows", {}).get("train", 0)
        epochs = " + ".join(f"{phase.epochs} {phase.name}" for phase in phases(self.config))
        return f"trained on {rows:,} rows for {epochs} epochs"

    @property
    def settings(self) -> str:
        """The settings that are not the defaults."""
        shown = []
        for name, field in FIELDS.items():
            value = getattr(self.config, name)
            if name not in (*IGNORED, "data", "method") and value != field.default:
                shown.append(_option(name, value))
        return " ".join(shown)


@dataclass(frozen=True)
class Results:
    """All groups; the rows of the first run, those trained on and those measured. `split` names the latter."""

    groups: list[Group]
    train: Sequences
    measured: Sequences
    split: str


def collect(paths: list[Path], data_dir: str | None, say: Callable[[str], None]) -> Results:
    """Reads and measures the runs. Raises InputError for what is no finished run, or runs on different data."""
    paths = list({path.resolve(): path for path in paths}.values())  # the same run twice is no second seed
    configs = [read_config(path) for path in paths]
    for path, config in zip(paths, configs, strict=True):
        if config.data is None:
            raise InputError(
                f"{path}: was trained on rows given in Python, which its folder does not hold; train on a .npz file of them"
            )
        if config.data != configs[0].data:
            raise InputError(
                f"{path}: was trained on {config.data}, {paths[0]} on {configs[0].data}; one report is about one data set"
            )
    loaded: dict[tuple[Any, ...], Splits] = {}
    parts = [_rows(config, data_dir, loaded) for config in configs]
    names = {split for _, _, split in parts}
    if len(names) > 1:
        raise InputError(
            f"{', '.join(map(str, paths))}: some were trained with --validation 0, others not; report them apart"
        )
    runs = []
    for path, config, (train, measured, _) in zip(paths, configs, parts, strict=True):
        model = load_model(path)
        epochs = read_metrics(path / METRICS)
        if not epochs:
            raise InputError(
                f"{path}: has no finished epoch yet; go on with: backcast train --resume --out {path}"
            )
        model.preprocessing.check(measured)
        labelled = bool(model.classes) and bool((measured.labels >= 0).any())
        scores = model.evaluate(measured) if labelled else None
        curve = memory_curve(model, train, measured)
        if paths[1:]:
            say(f"measured {path}")
        runs.append(RunResult(path, config, model, read_environment(path), epochs, measured, scores, curve))
    return Results(_groups(runs), *parts[0])


def _rows(
    config: Config, data_dir: str | None, loaded: dict[tuple[Any, ...], Splits]
) -> tuple[Sequences, Sequences, str]:
    """Training rows, rows to measure on, and what these are called: split as `run.prepare` does, by the run's seed.

    `loaded` keeps what was read, for the next run.
    """
    assert config.data is not None
    where = data_dir if data_dir is not None else config.data_dir
    options = {
        name: getattr(config, name)
        for name in (*READING, "limit", "max_length", "missing_label", "permutation_seed")
    }
    key = (where, config.data, *options.values())
    if key not in loaded:
        loaded[key] = load(config.data, data_dir=where, **options)
    splits = loaded[key]
    if splits.test is not None:
        return splits.train, splits.test, "test"
    if splits.validation is not None:
        return splits.train, splits.validation, "validation"
    share = config.validation if config.epochs else 0.0
    train, validation = split_validation(splits.train, share, config.seed)
    return (train, train, "training") if validation is None else (train, validation, "validation")


def _groups(runs: list[RunResult]) -> list[Group]:
    found: dict[tuple[tuple[str, Any], ...], list[RunResult]] = {}
    for run in runs:
        key = tuple(
            (name, value) for name in FIELDS if name not in IGNORED for value in [getattr(run.config, name)]
        )
        found.setdefault(key, []).append(run)
    groups = [
        Group(_name(dict(key), members, list(map(dict, found))), members) for key, members in found.items()
    ]
    names = [group.name for group in groups]
    return [Group(str(g.runs[0].path), g.runs) if names.count(g.name) > 1 else g for g in groups]


def _name(settings: dict[str, Any], members: list[RunResult], everything: list[dict[str, Any]]) -> str:
    """A single run: its folder. Several seeds: the method, and what tells it from others of the same method."""
    if len(members) == 1:
        return members[0].path.resolve().name
    alike = [other for other in everything if other["method"] == settings["method"]]
    telling = [name for name in settings if any(other[name] != settings[name] for other in alike)]
    return " ".join([settings["method"], *(_option(name, settings[name]) for name in telling)])


def _option(name: str, value: Any) -> str:
    """A setting as the command line has it."""
    if isinstance(value, bool):
        return flag(name) if value else "--no-" + flag(name).removeprefix("--")
    text = ",".join(map(str, value)) or "none" if isinstance(value, tuple) else str(value)
    return f"{flag(name)} {'none' if value is None else text}"
