"""Digits, then silence: six methods of one size side by side, in minutes, on a CPU.

All that matters lies 64 to 128 steps before the end; gradients reach 32 steps back. Each method is an ordinary
run (`backcast train digits-silence ...`), so whatever works on a run works on these.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any

from backcast.build import TrainedModel
from backcast.config import Config, resolve
from backcast.data.sequences import Sequences
from backcast.data.sources import load
from backcast.errors import InputError, RunError, nearest
from backcast.files import write_json
from backcast.history import read_metrics
from backcast.machine import cores
from backcast.nn.size import parameters
from backcast.phases import phases
from backcast.prepared import hold_out, prepare
from backcast.progress import TrainingProgress
from backcast.report.memory import memory_curve
from backcast.report.page import write_report
from backcast.run import METRICS, holds_run, train
from backcast.side_by_side import Killed, StepCount, Task, side_by_side
from backcast.step_memory import kept_for_backward

DATA = "digits-silence"
COMMON: dict[str, Any] = {
    "data": DATA,
    "device": "cpu",
    "truncation": 32,
    "aux_truncation": 32,
    "hidden_size": 64,
    "batch_size": 32,
    "pretrain_epochs": 35,
    "epochs": 70,
    "pretrain_learning_rate": 4e-3,
    "learning_rate": 4e-3,
    "halve_at": (22, 40, 56),
}
# The paper's optimizer and proportions: a segment twice as long as the truncation.
AS_IN_THE_PAPER: dict[str, Any] = {
    "anchors": 1,
    "segment_length": 64,
    "decoder_input": "scheduled",
    "position_cue": False,
    "optimizer": "rmsprop",
    "pretrain_learning_rate": 1e-3,
    "pretrain_halve_at": (18,),
    "learning_rate": 1e-3,
}
OUR_ADDITIONS: dict[str, Any] = {
    "anchors": 8,
    "segment_length": 16,
    "decoder_input": "unfed",
    "position_cue": True,
}


@dataclass(frozen=True)
class Contender:
    """One row of the demo: a run's settings, over `COMMON`."""

    name: str
    description: str
    settings: dict[str, Any]
    cost: int  # of a step, roughly: the longest run starts first

    def config(self, seed: int, scale: float) -> Config:
        """`scale` shortens both phases, to at least one epoch each."""
        settings = {**COMMON, **self.settings, "seed": seed}
        for name in ("epochs", "pretrain_epochs"):
            settings[name] = max(1, round(settings[name] * scale))
        for name in ("halve_at", "pretrain_halve_at"):
            settings[name] = tuple(max(1, math.ceil(date * scale)) for date in settings.get(name, ()))
        return resolve([settings])


# The LSTMs train for as many epochs as the others do in both phases together.
BOTH_PHASES: dict[str, Any] = {"method": "lstm", "epochs": 105, "halve_at": (57, 75, 91)}
CONTENDERS = (
    Contender("lstm", "LSTM, truncated to 32 steps", BOTH_PHASES, 1),
    Contender("lstm-full", "LSTM with full BPTT", {**BOTH_PHASES, "truncation": None}, 2),
    Contender("r-lstm", "r-LSTM as in the paper: one segment of 64, scheduled sampling", {"method": "r-lstm", **AS_IN_THE_PAPER}, 4),
    Contender("r-lstm-plus", "r-LSTM with our additions: position cue, unfed decoder, 8 segments of 16", {"method": "r-lstm", **OUR_ADDITIONS}, 5),
    Contender("p-lstm", "p-LSTM as in the paper: predict the 64 elements behind an anchor", {"method": "p-lstm", **AS_IN_THE_PAPER}, 3),
    Contender("rp-lstm", "both auxiliary losses, with our additions, 4 segments each", {"method": "rp-lstm", **OUR_ADDITIONS, "anchors": 4}, 6),
)  # fmt: skip


def run_demo(
    out: Path,
    *,
    seed: int = 0,
    methods: str | None = None,
    scale: float = 1.0,
    resume: bool = False,
    overwrite: bool = False,
    stop: Callable[[], bool] = lambda: False,
) -> list[dict[str, Any]]:
    """Trains the contenders into `out`/NAME, one per core at a time, with one thread each.

    The networks are so small that a second thread would hardly speed one up. Then writes summary.json,
    report.html and interactive.html.

    methods  names from `CONTENDERS` separated by commas; None: all
    scale    share of the epochs, above 0 and at most 1

    Returns what summary.json holds, one object per contender; `truncation` is null for full BPTT. Raises
    InputError, RunError, and Interrupted when `stop` says so, with a checkpoint of every contender that has begun.
    """
    chosen = _choose(methods)
    if not 0 < scale <= 1:
        raise InputError(f"--scale {scale}: must be above 0 and at most 1")
    if not resume and not overwrite:
        there = [contender.name for contender in chosen if holds_run(out / contender.name)]
        if there:
            raise InputError(
                f"--out {out}: holds a demo already; say --resume, --overwrite or another folder"
            )
    longest_first = sorted(chosen, key=lambda contender: -contender.cost)
    tasks = [
        Task(each.name, _run_job, _Job(each.name, out / each.name, seed, scale, resume, overwrite))
        for each in longest_first
    ]
    total = _total_steps([contender.config(seed, scale) for contender in chosen])
    rows: dict[str, dict[str, Any]] = {}
    with TrainingProgress("demo") as progress:
        try:
            for _, row in side_by_side(
                tasks,
                min(cores(), len(tasks)),
                1,
                on_steps=lambda done, before: progress.total(total, done, before),
                stop=stop,
            ):
                rows[row["name"]] = row
                print(_line(row), flush=True)
        except Killed as error:
            raise RunError(f"{error}; go on with: backcast demo --resume --out {quote(str(out))}") from None
    summary = [rows[contender.name] for contender in chosen]
    write_json(out / "summary.json", summary)
    report, interactive = out / "report.html", out / "interactive.html"
    write_report([out / contender.name for contender in chosen], report, interactive=interactive)
    print(f"report in {report}, to drag along time on: {interactive}")
    return summary


@dataclass(frozen=True)
class _Job:
    """One contender, for a process of its own."""

    name: str
    out: Path
    seed: int
    scale: float
    resume: bool
    overwrite: bool


def _run_job(job: _Job, advance: Callable[[int], None], stop: Callable[[], bool]) -> dict[str, Any]:
    """Trains one contender and measures it."""
    contender = {each.name: each for each in CONTENDERS}[job.name]
    steps = StepCount(advance)
    config = contender.config(job.seed, job.scale)
    model = train(
        config, job.out, resume=job.resume, overwrite=job.overwrite,
        on_total=steps.on_total, on_advance=steps.on_advance, stop=stop,
    )  # fmt: skip
    splits = load(DATA)
    assert splits.test is not None
    train_rows, _ = hold_out(config, splits)  # memory is measured as in the report, which fits it on these
    return _summarise(contender, config, job.out, model, train_rows, splits.test)


def _total_steps(configs: list[Config]) -> int:
    """The training steps of all contenders, which share rows and batches."""
    steps = math.ceil(len(prepare(configs[0]).train) / configs[0].batch_size)
    return steps * sum(phase.epochs for config in configs for phase in phases(config))


def _choose(methods: str | None) -> list[Contender]:
    known = {contender.name: contender for contender in CONTENDERS}
    if methods is None:
        return list(CONTENDERS)
    names = list(dict.fromkeys(name.strip() for name in methods.split(",")))
    for name in names:
        if name not in known:
            raise InputError(f"--methods {name}: is not one of {', '.join(known)}{nearest(name, known)}")
    return [known[name] for name in names]


def _summarise(
    contender: Contender,
    config: Config,
    run: Path,
    model: TrainedModel,
    train_rows: Sequences,
    test_rows: Sequences,
) -> dict[str, Any]:
    last = read_metrics(run / METRICS)[-1]
    return {
        "name": contender.name,
        "description": contender.description,
        "method": config.method,
        "truncation": config.truncation,
        "seed": config.seed,
        "epochs": [phase.epochs for phase in phases(config)],
        "test_accuracy": model.evaluate(test_rows).accuracy,
        "train_accuracy": last["accuracy"],
        "train_seconds": last["seconds"],
        "peak_activation_bytes": kept_for_backward(config, config.batch_size),
        "parameters": parameters(model.network),
        "remembers_steps": memory_curve(model, train_rows, test_rows).remembers_steps,
    }


def _line(row: dict[str, Any]) -> str:
    return (
        f"{row['name']:<12} test accuracy {row['test_accuracy']:.4f}   remembers {row['remembers_steps']:>3} steps   "
        f"{row['peak_activation_bytes'] / 1e6:5.1f} MB for backward   {row['train_seconds']:4.0f} s"
    )
