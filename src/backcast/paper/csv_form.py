"""An experiment as CSV: one line per cell, every number unrounded."""

from __future__ import annotations

import csv
import io
from typing import Any

from backcast.paper.experiment import Experiment
from backcast.paper.outcomes import Outcome, Outcomes
from backcast.paper.statistics import Spread, spread

COLUMNS = (
    "experiment", "scale", "row", "column", "x", "quantity", "mean", "deviation", "low", "high", "seeds",
    "loss", "loss_low", "loss_high", "loss_pairs", "paper", "paper_loss", "paper_approximate",
    "seconds_per_step", "paper_seconds_per_step", "parameters", "train_rows", "test_rows", "status", "reason", "checksum",
)  # fmt: skip
"""quantity: of mean … high and paper, in percent. loss: points against an ablation's first row, paired by seed;
paper_loss: the paper's. deviation: standard deviation (n - 1). low, high: 95 % interval of the mean."""


def csv_text(experiment: Experiment, found: Outcomes) -> str:
    """The whole file; a field is empty where there is no such number."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for outcome in found.values():
        writer.writerow(_line(experiment, outcome))
    return text.getvalue()


def _line(experiment: Experiment, outcome: Outcome) -> dict[str, Any]:
    published = outcome.published
    is_loss = experiment.form == "ablation" and outcome.row != experiment.rows[0]
    values, losses, seconds = outcome.spread, spread(outcome.losses), spread(outcome.seconds)
    return {
        "experiment": experiment.name,
        "scale": experiment.scale,
        "row": outcome.row,
        "column": outcome.column,
        "x": outcome.cell.x,
        "quantity": experiment.quantity,
        "mean": values and values.mean,
        "deviation": values and values.deviation,
        **_interval("", values),
        "seeds": len(outcome.values),
        "loss": losses and losses.mean,
        **_interval("loss_", losses),
        "loss_pairs": losses and losses.count,
        "paper": published.value if published and not is_loss else None,
        "paper_loss": published.value if published and is_loss else None,
        "paper_approximate": published and int(published.approximate),
        "seconds_per_step": seconds and seconds.mean,
        "paper_seconds_per_step": outcome.published_seconds and outcome.published_seconds.value,
        "parameters": _of_runs(outcome, "parameters"),
        "train_rows": _of_runs(outcome, "train_rows"),
        "test_rows": _of_runs(outcome, "test_rows"),
        "status": outcome.status,
        "reason": "; ".join(dict.fromkeys(" ".join(run.reason.split()) for run in outcome.failures)),
        "checksum": outcome.cell.checksum,
    }


def _interval(prefix: str, found: Spread | None) -> dict[str, float | None]:
    low, high = (found.low, found.high) if found else (None, None)
    return {f"{prefix}low": low, f"{prefix}high": high}


def _of_runs(outcome: Outcome, name: str) -> int | None:
    """Rows, or parameters, of the finished runs: the same for every seed; the fewest where a seed had fewer."""
    counts = [getattr(run, name) for run in outcome.runs if run.status == "finished"]
    return min(counts, default=None)
