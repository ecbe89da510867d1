"""What was found for each cell of an experiment: its values by seed, or in words why there are none."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from backcast.paper.experiment import Cell, CurvePoint, Experiment, Found, Published, RunResult
from backcast.paper.statistics import Spread, paired, spread

SMOKE = "smoke"
NOT_MEASURED = "smoke: nothing is measured here"
"""Shown instead of a number at that scale, where a run only shows that it runs."""


@dataclass(frozen=True)
class Outcome:
    """What was found for one cell.

    values    by seed, percent of the test rows: accuracy, or error where that is the experiment's quantity
    seconds   of a training step, by seed, of the runs timed where most of the experiment's were
    losses    by seed, points lost against the first row; only in an ablation
    runs      finished or not
    status    "finished" where there is at least one value; otherwise in words why there is none
    """

    cell: Cell
    status: str
    values: dict[int, float] = field(default_factory=dict)
    seconds: dict[int, float] = field(default_factory=dict)
    losses: dict[int, float] = field(default_factory=dict)
    runs: tuple[RunResult, ...] = ()

    @property
    def row(self) -> str:
        return self.cell.row

    @property
    def column(self) -> str:
        return self.cell.column

    @property
    def published(self) -> Published | None:
        return self.cell.published

    @property
    def published_seconds(self) -> Published | None:
        return self.cell.published_seconds

    @property
    def spread(self) -> Spread | None:
        return spread(self.values)

    @property
    def failures(self) -> list[RunResult]:
        return [run for run in self.runs if run.status != "finished"]


Outcomes = dict[tuple[str, str], Outcome]
"""An experiment's outcomes by (row, column), row by row."""


def outcomes(experiment: Experiment, found: Found) -> Outcomes:
    places = [(row, column) for row in experiment.rows for column in experiment.columns]
    cells = {place: experiment.cell(*place) for place in places}
    checksums = {cell.checksum for cell in experiment.cells}  # of cells that share a run it counts once
    where = timed_on(run for checksum in checksums for run in found.get(checksum, ()))
    return {
        place: _outcome(experiment, found, cell, where) for place, cell in cells.items() if cell is not None
    }


def timed_on(runs: Iterable[RunResult]) -> str | None:
    """Where most of the runs that have seconds were timed: those of different machines are not to be averaged."""
    where = [place_of(run) for run in runs if run.seconds_per_step is not None]
    return max(sorted(set(where)), key=where.count, default=None)


def place_of(run: RunResult) -> str:
    """The device of a run, and what shared it."""
    return f"{run.device}, {run.jobs} runs at once" if run.jobs > 1 else run.device


def most_seeds(all_outcomes: Outcomes) -> int:
    """The most values that any cell has."""
    return max((len(outcome.values) for outcome in all_outcomes.values()), default=0)


def mean_curve(outcome: Outcome) -> list[tuple[CurvePoint, CurvePoint, CurvePoint]]:
    """Lowest, mean and highest accuracies over the seeds, at the steps that all of them have."""
    drawn = [run for run in outcome.runs if run.seed in outcome.values and run.curve]
    curves = [{point.step: point for point in run.curve} for run in drawn]
    if not curves:
        return []
    band = []
    for step in sorted(set.intersection(*(set(curve) for curve in curves))):
        points = [curve[step] for curve in curves]
        train = [point.train_accuracy for point in points]
        test = [point.test_accuracy for point in points]
        mean = CurvePoint(step, sum(train) / len(train), sum(test) / len(test))
        band.append((CurvePoint(step, min(train), min(test)), mean, CurvePoint(step, max(train), max(test))))
    return band


def _outcome(experiment: Experiment, found: Found, cell: Cell, where: str | None) -> Outcome:
    runs = found.get(cell.checksum, ())
    finished = [run for run in runs if run.status == "finished"]
    if experiment.scale == SMOKE and finished:
        return Outcome(cell, NOT_MEASURED, runs=runs)
    values = _values(experiment, cell, runs)
    return Outcome(
        cell,
        _status(values, runs),
        values,
        {
            run.seed: run.seconds_per_step
            for run in finished
            if run.seconds_per_step is not None and place_of(run) == where
        },
        _losses(experiment, found, values, cell),
        runs,
    )


def _status(values: dict[int, float], runs: tuple[RunResult, ...]) -> str:
    if values:
        return "finished"
    if not runs:
        return "not run"
    words = sorted({run.status for run in runs})
    return " / ".join(word if word != "finished" else "finished, not measured" for word in words)


def _values(experiment: Experiment, cell: Cell, runs: tuple[RunResult, ...]) -> dict[int, float]:
    training = experiment.form == "curves" and cell.column == "training"
    values = {}
    for run in runs:
        accuracy = run.train_accuracy if training else run.accuracy
        if run.status == "finished" and accuracy is not None:
            values[run.seed] = 100 * (accuracy if experiment.quantity == "accuracy" else 1 - accuracy)
    return values


def _losses(experiment: Experiment, found: Found, values: dict[int, float], cell: Cell) -> dict[int, float]:
    """The points, by seed, that an ablation's row loses against the first; empty where they read other rows."""
    first = experiment.cell(experiment.rows[0], cell.column)
    if experiment.form != "ablation" or first is None or first == cell:
        return {}
    whole, ours = found.get(first.checksum, ()), found.get(cell.checksum, ())
    return paired(_values(experiment, first, whole), values) if comparable(whole, ours) else {}


def comparable(runs: Iterable[RunResult], others: Iterable[RunResult]) -> bool:
    """Had the finished runs of both the same rows with every seed that both have?"""
    ours, theirs = ({run.seed: run for run in each if run.status == "finished"} for each in (runs, others))
    return all(same_rows((ours[seed], theirs[seed])) for seed in ours.keys() & theirs.keys())


def same_rows(runs: Collection[RunResult]) -> bool:
    """Were all of them trained and tested on the same rows, as far as their results say?"""
    tested = {run.test_sha256 for run in runs if run.test_sha256}
    return len({run.data_sha256 for run in runs}) < 2 and len(tested) < 2
