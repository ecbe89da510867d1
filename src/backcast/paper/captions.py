"""The caption of a table or figure, so worded that a small run can never pass for a reproduction."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from backcast.errors import plural
from backcast.paper.experiment import Experiment, RunResult
from backcast.paper.outcomes import SMOKE, Outcomes, timed_on

ROWS = ("data", "side", "limit", "max_length", "labeled")
"""Settings that say which rows a run reads."""


def warning(scale: str) -> str:
    """The first sentence, before any number of this scale."""
    if scale == SMOKE:
        return "Scale smoke: nothing is measured here."
    if scale == "paper":
        return "Scale paper: the paper's setting, as far as it is known."
    return f"Scale {scale}: not the paper's setting."


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
    which = f"{plural(len(seeds), 'seed')} {', '.join(map(str, seeds))}"
    devices = "; ".join(sorted({run.device or "an unknown device" for run in finished}))
    return (
        f"{len(finished)} {plural(len(finished), 'run')} finished ({which}){f', {unfinished} did not' * (unfinished > 0)}. "
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
    if experiment.form == "against length" and len({run.device for run in finished}) > 1:
        found.append(f"Seconds per step are those of the runs on {timed_on(finished)}.")
    if experiment.form == "curves":
        found.append(
            "Training accuracy is measured on the batches of an epoch as they are trained on, with DropConnect; at small scale the curves' test accuracy "
            "is that of the first 2,000 test rows, the table's that of all."
        )
    return found


def _at_once(finished: list[RunResult]) -> str:
    jobs = max(run.jobs for run in finished)
    return f", {jobs} runs at once" if jobs > 1 else ""


def _other_rows(found: Outcomes) -> list[str]:
    """Runs that read a data set alike must have had the same rows; which rows keep their label depends on the seed."""
    read: dict[tuple[Any, ...], set[str]] = {}
    for outcome in found.values():
        settings = outcome.cell.settings
        how = [settings.get(name) for name in ROWS]
        for run in outcome.runs:
            if run.status == "finished":
                drawn = run.seed if settings.get("labeled", 1.0) < 1 else None
                read.setdefault((*how, drawn), set()).add(run.data_sha256)
    several = any(len(checksums) > 1 for checksums in read.values())
    return ["**These runs were not all trained on the same rows of a data set.**"] * several


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
