"""The caption of a table or figure, so worded that a small run can never pass for a reproduction."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from backcast.errors import plural
from backcast.paper.experiment import Experiment, RunResult
from backcast.paper.outcomes import SMOKE, Outcomes, place_of, same_rows, timed_on
from backcast.paper.published import DATA, TABLE1

ROWS = ("data", "side", "limit", "max_length", "labeled")
"""Settings that say which rows a run reads."""


def warning(scale: str, rows: Iterable[tuple[str, int]]) -> str:
    """The first sentence, before any number of this scale.

    rows   as of `rows_read`
    """
    if scale == SMOKE:
        return "Scale smoke: nothing is measured here."
    if scale != "paper":
        return f"Scale {scale}: not the paper's setting."
    if other := unlike_the_papers(rows):
        return f"Scale paper, but not the paper's data: {'; '.join(other)}."
    return "Scale paper: the paper's setting, as far as it is known."


def unlike_the_papers(rows: Iterable[tuple[str, int]]) -> list[str]:
    """The data sets that have not as many training rows as the paper's, each in words."""
    found = []
    for name, count in sorted(set(rows)):
        theirs = TABLE1.get((name, "training examples"))
        if theirs is not None and theirs.value != count:
            found.append(f"{name} has {count:,} training rows, the paper's {theirs.value:,.0f}")
    return found


def rows_read(found: Outcomes) -> list[tuple[str, int]]:
    """The data sets of the finished runs by the paper's names, and their training rows."""
    return [
        (DATA.get(outcome.cell.settings["data"], ""), run.train_rows)
        for outcome in found.values()
        for run in outcome.runs
        if run.status == "finished"
    ]


def caption(experiment: Experiment, found: Outcomes) -> list[str]:
    """Sentences on the scale: the data, what was run on which machine, and what the numbers are."""
    runs = list({(run.checksum, run.seed): run for one in found.values() for run in one.runs}.values())
    finished = [run for run in runs if run.status == "finished"]
    what = _runs(finished, len(runs) - len(finished))
    return [experiment.caption, what, *_other_rows(found), *_numbers(experiment, finished)]


def _runs(finished: list[RunResult], unfinished: int) -> str:
    if not finished:
        return (
            f"No run has finished; {unfinished} have ended otherwise."
            if unfinished
            else "Nothing has been run yet."
        )
    seeds = sorted({run.seed for run in finished})
    seconds = [run.seconds for run in finished]
    devices = "; ".join(sorted({run.device or "an unknown device" for run in finished}))
    return (
        f"{len(finished)} {plural(len(finished), 'run')} finished ({_seeds(seeds)}){f', {unfinished} did not' * (unfinished > 0)}. "
        f"Trained on {_span(run.train_rows for run in finished)} rows, tested on {_span(run.test_rows for run in finished)}. "
        f"Training took {_durations(min(seconds), max(seconds))} per run, phase 1 included, on {devices}{_at_once(finished)}."
    )


def _numbers(experiment: Experiment, finished: list[RunResult]) -> list[str]:
    """What the numbers are, where there are any."""
    mark = ["~: read off a plot in the paper."] * experiment.read_off
    if experiment.scale == SMOKE or not finished:
        return mark
    seeds = len({run.seed for run in finished})
    over = "one seed, so no spread" if seeds == 1 else f"mean ± standard deviation (n - 1) over {seeds} seeds"
    found = [f"Ours: {over}, after the last epoch (no epoch is selected).", *mark]
    if experiment.form == "against length" and len(set(map(place_of, finished))) > 1:
        where = timed_on(finished)
        timed = sorted({run.seed for run in finished if place_of(run) == where})
        found.append(f"Seconds per step are those of the runs on {where} ({_seeds(timed)}).")
    if experiment.form == "curves":
        found.append(
            "Training accuracy is measured on the batches of an epoch as they are trained on, with DropConnect; at small scale the curves' test accuracy "
            "is that of the first 2,000 test rows, the table's that of all."
        )
    return found


def _seeds(seeds: list[int]) -> str:
    return f"{plural(len(seeds), 'seed')} {', '.join(map(str, seeds))}"


def _at_once(finished: list[RunResult]) -> str:
    jobs = max(run.jobs for run in finished)
    return f", {jobs} runs at once" if jobs > 1 else ""


def _other_rows(found: Outcomes) -> list[str]:
    """Runs that read a data set alike must have had the same rows; which rows keep their label depends on the seed."""
    read: dict[tuple[Any, ...], list[RunResult]] = {}
    for outcome in found.values():
        settings = outcome.cell.settings
        how = [settings.get(name) for name in ROWS]
        for run in outcome.runs:
            if run.status == "finished":
                drawn = run.seed if settings.get("labeled", 1.0) < 1 else None
                read.setdefault((*how, drawn), []).append(run)
    several = not all(map(same_rows, read.values()))
    return ["**These runs did not all have the same rows of a data set.**"] * several


def _span(numbers: Iterable[int]) -> str:
    those = sorted(set(numbers))
    return f"{those[0]:,}" if len(those) == 1 else f"{those[0]:,} to {those[-1]:,}"


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.3g} min" if seconds < 7200 else f"{seconds / 3600:,.1f} h"


def _durations(low: float, high: float) -> str:
    one, other = _duration(low), _duration(high)
    return one if one == other else f"{one} to {other}"
