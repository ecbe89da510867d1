"""The runs of a report, read and measured: groups of runs that differ only in their seed."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from shlex import quote
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from backcast.build import TrainedModel, load_model
from backcast.config import FIELDS, Config, as_flag
from backcast.data.preprocessing import varying
from backcast.data.sequences import Sequences, Splits, describe_elements
from backcast.data.sources import BUILT_IN, identity, load
from backcast.data.splitting import keep_labels
from backcast.errors import InputError, plural
from backcast.history import chosen_by, has_classified, kept_epoch, read_metrics
from backcast.methods import METHODS
from backcast.metrics import Scores
from backcast.nn.size import parameters
from backcast.phases import phases
from backcast.prepared import CHECKSUM, hold_out, rows_checksum
from backcast.report.memory import TRUSTED, MemoryCurve, memory_curve
from backcast.run import METRICS, read_config, require_environment

IGNORED = ("seed", "data", "data_dir", "device", "checkpoint_minutes")


@dataclass(frozen=True)
class RunResult:
    """One run, measured on rows it was not trained on.

    `measured` differs from run to run where the data bring none with a label: each seed holds out its own rows.
    `scores` is None where the run classifies nothing, or was stopped before it learned to. `varying` (C,) says which
    channels vary in the rows it was trained on.
    """

    path: Path
    config: Config
    model: TrainedModel
    environment: dict[str, Any]
    epochs: list[dict[str, Any]]
    measured: Sequences
    scores: Scores | None
    memory: MemoryCurve
    varying: NDArray[np.bool_]

    @property
    def accuracy(self) -> float | None:
        """0 .. 1."""
        return None if self.scores is None else self.scores.accuracy

    @property
    def chosen_by(self) -> str:
        """The quantity in `epochs` whose highest value decides which epoch is kept."""
        return chosen_by(self.config.class_weights)

    @property
    def kept_epoch(self) -> dict[str, Any] | None:
        """The epoch whose weights the model has; None where no rows chose it."""
        return kept_epoch(self.epochs, self.config.class_weights)

    @property
    def rows(self) -> frozenset[Any]:
        """Tells the rows that it was scored on from those of other runs: their ids, or if some are alike their places.

        Where none has a label there is no score, and these are all rows.
        """
        labelled = self.measured.labels >= 0
        which = labelled if labelled.any() else np.ones_like(labelled)
        ids, starts = map(str, self.measured.ids[which]), self.measured.starts[which].tolist()
        return found if len(found := frozenset(ids)) == len(starts) else frozenset(starts)

    @property
    def classifies(self) -> bool:
        """Has it a classifier that was trained?"""
        return bool(self.model.classes) and has_classified(self.epochs)

    @property
    def epochs_run(self) -> list[int]:
        """Of each phase that it has. Where a later one has begun all were, be it in another run."""
        found, ended = [], False
        for phase in reversed(phases(self.config)):
            own = [entry["epoch"] for entry in self.epochs if entry["phase"] == phase.name]
            found.append(phase.epochs if ended else max(own, default=0))
            ended = ended or bool(own)
        return found[::-1]

    @property
    def parameters(self) -> int:
        return parameters(self.model.network)


@dataclass(frozen=True)
class Group:
    """Runs that differ only in their seed."""

    name: str
    runs: list[RunResult]

    @property
    def config(self) -> Config:
        return self.runs[0].config

    @property
    def scores(self) -> list[Scores]:
        """Of the runs that classify."""
        return [run.scores for run in self.runs if run.scores is not None]

    @property
    def accuracy(self) -> str:
        """Percent: mean, and standard deviation over seeds where there are several."""
        return _percent([scores.accuracy for scores in self.scores])

    @property
    def balanced_accuracy(self) -> str:
        return _percent([scores.balanced_accuracy for scores in self.scores])

    @property
    def macro_f1(self) -> str:
        return _percent([scores.macro_f1 for scores in self.scores])

    @property
    def confusion(self) -> NDArray[np.int64] | None:
        """Summed over the seeds; None where nothing is classified."""
        return np.sum([scores.confusion for scores in self.scores], axis=0) if self.scores else None

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
        """How much it was trained: rows, those of them with a label, and epochs."""
        counts = self.runs[0].environment.get("rows", {})
        rows, labelled = counts.get("train", 0), counts.get("labelled", counts.get("train", 0))
        unlabelled = f", {labelled:,} of them with a label" if labelled < rows and self.config.epochs else ""
        names = [phase.name for phase in phases(self.config)]
        epochs = " + ".join(" ".join(each) for each in zip(self._epochs, names, strict=True))
        stopped = any(run.epochs_run != self._planned for run in self.runs)
        how = ", stopped after" if stopped else ", for" if unlabelled else " for"
        return f"trained on {rows:,} rows{unlabelled}{how} {epochs} epochs"

    @property
    def epochs(self) -> str:
        """The epochs of each phase that it has: "20 + 100", or where it was stopped "20 + 7 of 100"."""
        return " + ".join(self._epochs)

    @property
    def _planned(self) -> list[int]:
        return [phase.epochs for phase in phases(self.config)]

    @property
    def _epochs(self) -> list[str]:
        """For each phase the epochs that were run, and where these are fewer than planned, how many were."""
        found = []
        done = zip(*(run.epochs_run for run in self.runs), strict=True)
        for planned, seeds in zip(self._planned, done, strict=True):
            least, most = min(seeds), max(seeds)
            count = f"{least}" if least == most else f"{least} – {most}"
            found.append(count if least == planned else f"{count} of {planned}")
        return found

    @property
    def truncation(self) -> str:
        """Steps that carry the supervised gradient; "–" where there is none to truncate."""
        if not self.config.epochs or not METHODS[self.config.method].recurrent:
            return "–"
        return "none" if self.config.truncation is None else str(self.config.truncation)

    @property
    def settings(self) -> str:
        """The settings that are not the defaults."""
        left_out = (*IGNORED, "method")
        return " ".join(as_flag(*each) for each in self.config.changed().items() if each[0] not in left_out)


@dataclass(frozen=True)
class Results:
    """All groups; the rows of the first run, those trained on (with all labels) and those measured.

    split  what the latter are called: test, validation or training
    """

    groups: list[Group]
    train: Sequences
    measured: Sequences
    split: str

    @property
    def fixed(self) -> bool:
        """All runs were measured on the same rows."""
        return len({run.rows for group in self.groups for run in group.runs}) == 1

    @property
    def unlike(self) -> str:
        """Where groups were not measured on the same rows, on how many each was; else empty."""
        if len({frozenset(run.rows for run in group.runs) for group in self.groups}) == 1:
            return ""
        counts = []
        for group in self.groups:
            least, most = (count(len(run.rows) for run in group.runs) for count in (min, max))
            rows = f"{least:,}" if least == most else f"{least:,} – {most:,}"
            seeds = f", each of {len(group.runs)} seeds" if group.runs[1:] else ""
            counts.append(f"{group.name} on {rows} {plural(most, 'row')}{seeds}")
        return f"The groups were not measured on the same rows: {'; '.join(counts)}."

    @property
    def memory_rows(self) -> str:
        """How many rows the memory curves are measured on, and whether these are enough."""
        fewest = min(run.memory.rows for group in self.groups for run in group.runs)
        doubt = ", too few to trust" if fewest < TRUSTED else ""
        return f"measured on {fewest:,} {plural(fewest, 'row')}{doubt}"


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
    return Results(_groups(runs), parts[0].train, runs[0].measured, parts[0].split)


def describe_rows(results: Results) -> list[str]:
    """One line about the rows trained on, and one about those measured."""

    def line(name: str, rows: Sequences) -> str:
        low, high = int(rows.lengths.min()), int(rows.lengths.max())
        steps = f"{low:,}" if low == high else f"{low:,} to {high:,}"
        labelled = rows.labels[rows.labels >= 0]
        present = len(np.unique(labelled))
        classes = "no labels" if not present else "1 class" if present == 1 else f"{present} classes"
        if 0 < len(labelled) < len(rows):
            classes += f" in the {len(labelled):,} {plural(len(labelled), 'row')} with a label"
        return f"{name}: {len(rows):,} {plural(len(rows), 'row')} of {steps} {plural(high, 'step')}, {describe_elements(rows)}, {classes}"

    return [line("training data", results.train), line(f"measured on ({results.split})", results.measured)]


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


def _percent(values: list[float]) -> str:
    """Shares as percent: mean, and standard deviation where there are several."""
    if not values:
        return "–"
    mean = f"{100 * np.mean(values):.2f}"
    return mean if len(values) == 1 else f"{mean} ±\N{NO-BREAK SPACE}{100 * np.std(values, ddof=1):.2f}"
