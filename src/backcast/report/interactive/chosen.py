"""Which runs and which rows the page shows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from backcast.config import READING, flag
from backcast.data.sequences import Sequences
from backcast.errors import InputError
from backcast.methods import METHODS
from backcast.report.figures import Look, with_looks
from backcast.report.results import Group, Results, RunResult
from backcast.run import read_config


@dataclass(frozen=True)
class Shown:
    """One group on the page: its look as in the report's figures, and the run that is asked."""

    group: Group
    look: Look
    run: RunResult

    @property
    def answers(self) -> bool:
        """Does its network say anything, from a state alone, about what was read or what comes next?"""
        network = self.run.model.network
        return network.decoder is not None or network.predictor is not None


def require_states(runs: list[Path]) -> None:
    """Raises InputError for a method without a state at every step."""
    for path in runs:
        method = read_config(path).method
        if not METHODS[method].recurrent:
            raise InputError(
                f"{path}: a {method} attends to whole rows and has no state at a step to look into; leave it out of --interactive"
            )


def shown_runs(results: Results) -> list[Shown]:
    """One run per group: with the first seed that all groups have, else with each group's own first seed."""
    common = set.intersection(*({run.config.seed for run in group.runs} for group in results.groups))
    seed = next((run.config.seed for run in results.groups[0].runs if run.config.seed in common), None)

    def asked(group: Group) -> RunResult:
        return next((run for run in group.runs if run.config.seed == seed), group.runs[0])

    return [Shown(group, look, asked(group)) for look, group in with_looks(results.groups)]


def shown_rows(results: Results, shown: list[Shown], most: int) -> list[list[int]]:
    """At most `most` rows that every shown run held out: for each, its number in every run's `measured`.

    What `--from` and `--unlabeled` brought may still include them: the page says so. Classes take turns, in the
    order of the rows. Raises InputError where the runs have no such row in common, or read the rows in different ways.
    """
    if results.split == "training":
        raise InputError(
            "--interactive shows rows that no run was trained on, and here none were held out"
            f"{_holding_out(results, shown)}with a test or validation split in DATA"
        )
    first = shown[0].run
    for other in (each.run for each in shown[1:]):
        if differing := _read_differently(first, other):
            raise InputError(
                f"{other.path}: reads its rows in another way than {first.path} ({', '.join(differing)}); report them apart"
            )
    places = [_places(each.run.measured) for each in shown]
    common = [key for key in places[0] if all(key in other for other in places)]
    if not common:
        raise InputError(
            f"{', '.join(str(each.run.path) for each in shown)}: no row was held out by all of them; "
            "report runs of the same seed and lengths"
        )
    rows = [[other[key] for other in places] for key in common]
    turns = _in_turns([int(first.measured.labels[row[0]]) for row in rows])
    return [rows[number] for number in turns[:most]]


def _holding_out(results: Results, shown: list[Shown]) -> str:
    """Why no rows are held out, and what of --validation would do so."""
    if not all(each.run.config.epochs for each in shown):  # --validation holds nothing out
        return "; train "
    if not all(each.run.config.validation for each in shown):
        return "; train with --validation 0.1, or "
    counts = results.train.class_counts()
    why = ": the classes have too few rows for the --validation that was asked for; train "
    several = counts[counts > 1]
    if not len(several):
        return why
    # The least share, in whole percent, that is half a row of the smallest such class: that is rounded to one.
    return f"{why}with --validation {math.ceil(50 / several.min()) / 100:g}, or "


def _read_differently(first: RunResult, other: RunResult) -> list[str]:
    """The flags by which two runs differ in elements, labels or order. Of --kind what was found counts."""
    names = [
        name
        for name in (*READING, "max_length", "missing_label")
        if name not in ("kind", "id") and getattr(first.config, name) != getattr(other.config, name)
    ]
    if first.measured.kind != other.measured.kind:
        names.append("kind")
    if first.model.preprocessing.permutation != other.model.preprocessing.permutation:
        names.append("permutation_seed")
    return [flag(name) for name in names]


def _places(rows: Sequences) -> dict[tuple[int, int], int]:
    """The rows' numbers by where their values lie, which is the same in all splits of one data set."""
    return {key: i for i, key in enumerate(zip(rows.starts.tolist(), rows.lengths.tolist(), strict=True))}


def _in_turns(labels: list[int]) -> list[int]:
    """The first row of every class, then the second of each, and so on; rows without a label are the last class."""
    seen: dict[int, int] = {}
    rounds = []
    for label in labels:
        seen[label] = seen.get(label, -1) + 1
        rounds.append(seen[label])
    order = np.array([label if label >= 0 else np.iinfo(np.int64).max for label in labels])
    return np.lexsort((order, np.array(rounds))).tolist()
