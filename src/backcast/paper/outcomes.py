"""What was found of each cell of an experiment: its values by seed, or in words why there are none."""

from __future__ import annotations

from dataclasses import dataclass, field

from backcast.paper.experiment import Cell, CurvePoint, Experiment, Found, Published, RunResult
from backcast.paper.published import PUBLISHED, PUBLISHED_SECONDS
from backcast.paper.statistics import Spread, paired, spread

SMOKE = "smoke"
NOT_MEASURED = "smoke: nothing is measured here"
"""What stands in the place of a number of that scale, where a run only shows that it runs."""


@dataclass(frozen=True)
class Outcome:
    """What was found of one cell; a cell is its row, its column, and all of this.

    cell      None where the paper has a number that is not ours to find
    values    by seed, percent of the test rows: accuracy, or error where that is the experiment's quantity
    seconds   of a training step, by seed
    losses    by seed, points lost against the first row; an ablation's alone
    runs      finished or not
    status    "finished" where there is at least one value; otherwise the reason for there being none, in words
    """

    row: str
    column: str
    cell: Cell | None
    published: Published | None
    published_seconds: Published | None
    status: str
    values: dict[int, float] = field(default_factory=dict)
    seconds: dict[int, float] = field(default_factory=dict)
    losses: dict[int, float] = field(default_factory=dict)
    runs: tuple[RunResult, ...] = ()

    @property
    def spread(self) -> Spread | None:
        return spread(self.values)

    @property
    def failures(self) -> list[RunResult]:
        return [run for run in self.runs if run.status != "finished"]


def outcomes(experiment: Experiment, found: Found) -> dict[tuple[str, str], Outcome]:
    """Every (row, column) that has a cell or a number of the paper's, row by row."""
    shown = {}
    for row in experiment.rows:
        for column in experiment.columns:
            outcome = _outcome(experiment, found, row, column)
            if outcome.cell is not None or outcome.published is not None:
                shown[row, column] = outcome
    return shown


def most_seeds(all_outcomes: dict[tuple[str, str], Outcome]) -> int:
    """How many values the cell has that has most."""
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


def _outcome(experiment: Experiment, found: Found, row: str, column: str) -> Outcome:
    cell = experiment.cell(row, column)
    published = PUBLISHED.get(experiment.name, {}).get((row, column))
    seconds = PUBLISHED_SECONDS.get(experiment.name, {}).get((row, column))
    if cell is None:
        return Outcome(row, column, None, published, seconds, "the paper's alone")
    published, seconds = cell.published or published, cell.published_seconds or seconds
    runs = found.get(cell.checksum, ())
    finished = [run for run in runs if run.status == "finished"]
    if experiment.scale == SMOKE and finished:
        return Outcome(row, column, cell, published, seconds, NOT_MEASURED, runs=runs)
    values = _values(experiment, cell, runs)
    return Outcome(
        row,
        column,
        cell,
        published,
        seconds,
        _status(values, runs),
        values,
        {run.seed: run.seconds_per_step for run in finished if run.seconds_per_step is not None},
        _losses(experiment, found, values, column) if row != experiment.rows[0] else {},
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


def _losses(experiment: Experiment, found: Found, values: dict[int, float], column: str) -> dict[int, float]:
    """Against the first row; so much worse, whether the quantity is accuracy or error."""
    first = experiment.cell(experiment.rows[0], column)
    if experiment.form != "ablation" or first is None:
        return {}
    whole = _values(experiment, first, found.get(first.checksum, ()))
    return paired(whole, values) if experiment.quantity == "accuracy" else paired(values, whole)
