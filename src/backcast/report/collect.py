"""Run folders into results: which rows each is measured on, what it says of them, and which runs are one group."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from shlex import quote
from typing import Any, NamedTuple

from backcast.build import load_model
from backcast.config import FIELDS, Config, as_flag
from backcast.data.preprocessing import varying
from backcast.data.sequences import Sequences, Splits
from backcast.data.sources import BUILT_IN, identity, load
from backcast.data.splitting import keep_labels
from backcast.errors import InputError
from backcast.history import has_classified, read_metrics
from backcast.prepared import CHECKSUM, hold_out, rows_checksum
from backcast.report.memory import MOST_SYMBOLS, MemoryCurve, class_curve, memory_curve
from backcast.report.results import IGNORED, Group, Results, RunResult
from backcast.run import METRICS, read_config, require_environment


def collect(paths: list[Path], data_dir: str | None, say: Callable[[str], None]) -> Results:
    """Reads and measures the runs.

    Raises InputError for what is no run with a finished epoch, for runs on different data or classes, and where DATA no longer holds the
    rows that a run was trained on: what it held out can then no longer be told from what it learned.
    """
    paths = list({path.resolve(): path for path in paths}.values())  # the same run twice is no second seed
    configs = [read_config(path) for path in paths]
    for path, config in zip(paths, configs, strict=True):
        if config.data is None:
            raise InputError(
                f"{path}: was trained on rows given in Python, which its folder does not hold; train on a .npz file of them"
            )
        if identity(config.data) != identity(configs[0].data):
            raise InputError(
                f"{path}: was trained on {config.data}, {paths[0]} on {configs[0].data}; one report is about one data set"
            )
    loaded: dict[tuple[Any, ...], Splits] = {}
    parts = [_rows(path, config, data_dir, loaded) for path, config in zip(paths, configs, strict=True)]
    if len({part.split for part in parts}) > 1:
        raise InputError(
            f"{', '.join(map(str, paths))}: some held out rows to choose the epoch, others (--validation 0 or --epochs 0) "
            "did not; report them apart"
        )
    models = [load_model(path) for path in paths]
    named = zip(map(str, paths), models, strict=True)
    learned = {(m.config.label or "label", m.classes): path for path, m in named if m.classes}
    if len(learned) > 1:
        raise InputError(f"{', '.join(learned.values())}: learned different classes; report them apart")
    runs = []
    for path, config, part, model in zip(paths, configs, parts, models, strict=True):
        environment, measured = require_environment(path), part.measured
        _require_same_rows(path, config, environment, part)
        epochs = read_metrics(path / METRICS)
        if not epochs:
            raise InputError(
                f"{path}: has no finished epoch yet; go on with: backcast train --resume --out {quote(str(path))}"
            )
        model.preprocessing.check(measured)
        if model.classes and measured.classes:
            measured = measured.relabel(model.classes)
        labelled = bool(model.classes) and has_classified(epochs) and bool((measured.labels >= 0).any())
        scores = model.evaluate(measured) if labelled else None
        curve = memory_curve(model, part.train, measured)
        if paths[1:]:
            say(f"measured {path}")
        vary = varying(part.train, model.preprocessing)
        runs.append(RunResult(path, config, model, environment, epochs, measured, scores, curve, vary))
    of_class = _of_class(runs[0], parts[0].train)
    return Results(_groups(runs), parts[0].train, runs[0].measured, parts[0].split, of_class)


def _of_class(run: RunResult, train: Sequences) -> MemoryCurve | None:
    classes = run.model.classes
    if not 2 <= len(classes) <= MOST_SYMBOLS or not train.classes or not run.measured.classes:
        return None
    return class_curve(run.model, train.relabel(classes), run.measured)


class _Rows(NamedTuple):
    """A run's rows: trained on (with all labels), held out to choose the epoch, measured; see `Results`."""

    train: Sequences
    held_out: Sequences | None
    measured: Sequences
    split: str


def _rows(path: Path, config: Config, data_dir: str | None, loaded: dict[tuple[Any, ...], Splits]) -> _Rows:
    """The run's rows, split as `prepared.prepare` does, by the run's seed. Rows with a label go before those without.

    `loaded` keeps what was read, for the next run.
    """
    assert config.data is not None
    options = config.data_options() | {"limit": config.limit}
    if data_dir is not None:
        options["data_dir"] = data_dir
    key = (identity(config.data), *options.values())
    if key not in loaded:
        try:
            loaded[key] = load(config.data, **options)
        except InputError as error:
            here = config.data in BUILT_IN or os.path.isabs(config.data) or os.path.exists(config.data)
            hint = (
                ""
                if here
                else f"; run this in the folder from which it was trained, if {config.data} lies there"
            )
            raise InputError(f"{path}: the data that it was trained on: {error}{hint}") from None
    splits = loaded[key]
    train, held_out = hold_out(config, splits)
    unseen = [
        _Rows(train, held_out, rows, split)
        for rows, split in (
            (splits.test, "test"),
            (splits.validation, "validation"),
            (held_out, "validation"),
        )
        if rows is not None
    ]
    if unseen:
        return next((found for found in unseen if (found.measured.labels >= 0).any()), unseen[0])
    return _Rows(train, None, keep_labels(train, config.labeled, config.seed), "training")


def _require_same_rows(path: Path, config: Config, environment: dict[str, Any], rows: _Rows) -> None:
    """Compares the checksum of training and validation rows with that of the run; test rows are not in it.

    It costs one pass over rows that are in memory; files know theirs. Not compared are runs of other versions,
    which may read the same file differently, and those with --unlabeled, whose rows the report does not need.
    """
    same_version = environment.get("backcast") == version("backcast")
    if not same_version or environment.get("data_checksum") != CHECKSUM or config.unlabeled is not None:
        return
    train = keep_labels(rows.train, config.labeled, config.seed)
    if environment.get("data_sha256") != rows_checksum(train, rows.held_out):
        raise InputError(
            f"{path}: was trained on other rows than {config.data} holds now, so that what it has not seen is not known; "
            "put the old data back, or train again"
        )


def _groups(runs: list[RunResult]) -> list[Group]:
    """By all settings but the seed; a repeated seed goes into another group, because it adds no spread over seeds."""
    found: dict[tuple[Any, ...], list[RunResult]] = {}
    again: Counter[tuple[Any, ...]] = Counter()
    for run in runs:
        settings = tuple((name, _setting(run.config, name)) for name in FIELDS if name not in IGNORED)
        found.setdefault((settings, again[settings, run.config.seed]), []).append(run)
        again[settings, run.config.seed] += 1
    everything = [dict(settings) for settings, _ in found]
    groups = [
        Group(_name(dict(settings), members, everything), members) for (settings, _), members in found.items()
    ]
    names = [group.name for group in groups]
    return [Group(str(g.runs[0].path), g.runs) if names.count(g.name) > 1 else g for g in groups]


def _setting(config: Config, name: str) -> Any:
    """The setting's value, with two names of one file made equal."""
    value = getattr(config, name)
    return identity(value) if name == "unlabeled" else value


def _name(settings: dict[str, Any], members: list[RunResult], everything: list[dict[str, Any]]) -> str:
    """A single run: its folder. Several seeds: the method, and what tells it from others of the same method.

    What it has left at its default needs no mention: the others' settings tell them apart.
    """
    if len(members) == 1:
        return members[0].path.resolve().name
    alike = [other for other in everything if other["method"] == settings["method"]]
    telling = [
        name
        for name, value in settings.items()
        if value != FIELDS[name].default and any(other[name] != value for other in alike)
    ]
    return " ".join([settings["method"], *(as_flag(name, settings[name]) for name in telling)])
