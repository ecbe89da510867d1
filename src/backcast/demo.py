"""Digits, then silence: six methods of one size side by side, in minutes, on a CPU.

All that matters lies 64 to 128 steps before the end; gradients reach 32 steps back. Each method is an ordinary
run (`backcast train digits-silence ...`), so everything that can be done with a run can be done with these.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from backcast.activations import activation_bytes
from backcast.build import TrainedModel, build_network, build_trainer
from backcast.config import Config, nearest, resolve
from backcast.data.sequences import Sequences
from backcast.data.sources import load
from backcast.errors import InputError
from backcast.files import write_json
from backcast.history import read_metrics
from backcast.methods import phases
from backcast.objectives import Draw
from backcast.progress import TrainingProgress
from backcast.report.memory import memory_curve
from backcast.report.page import write_report
from backcast.run import METRICS, holds_run, prepare, train

DATA = "digits-silence"
COMMON: dict[str, Any] = {
    "data": DATA,
    "truncation": 32,
    "aux_truncation": 32,
    "hidden_size": 64,
    "batch_size": 32,
    "pretrain_epochs": 25,
    "epochs": 50,
    "pretrain_learning_rate": 4e-3,
    "learning_rate": 4e-3,
    "halve_at": (17, 30, 42),
}
# The paper's proportions: a segment twice as long as the truncation.
AS_IN_THE_PAPER: dict[str, Any] = {
    "anchors": 1,
    "segment_length": 64,
    "decoder_input": "scheduled",
    "position_cue": False,
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

    def config(self, seed: int, scale: float) -> Config:
        """`scale` shortens both phases, to at least one epoch each."""
        settings = {**COMMON, **self.settings, "seed": seed}
        for name in ("epochs", "pretrain_epochs"):
            settings[name] = max(1, round(settings[name] * scale))
        settings["halve_at"] = tuple(max(1, math.ceil(date * scale)) for date in settings["halve_at"])
        return resolve([settings])


CONTENDERS = (
    Contender("lstm", "LSTM, truncated to 32 steps", {"method": "lstm"}),
    Contender("lstm-full", "LSTM with full BPTT", {"method": "lstm", "truncation": None}),
    Contender("r-lstm", "r-LSTM as in the paper: one segment of 64, scheduled sampling", {"method": "r-lstm", **AS_IN_THE_PAPER}),
    Contender("r-lstm-plus", "r-LSTM with our additions: position cue, unfed decoder, 8 segments of 16", {"method": "r-lstm", **OUR_ADDITIONS}),
    Contender("p-lstm", "p-LSTM as in the paper: predict the 64 elements behind an anchor", {"method": "p-lstm", **AS_IN_THE_PAPER}),
    Contender("rp-lstm", "both auxiliary losses, with our additions, 4 segments each", {"method": "rp-lstm", **OUR_ADDITIONS, "anchors": 4}),
)  # fmt: skip


def run_demo(
    out: Path,
    *,
    seed: int = 0,
    methods: str | None = None,
    scale: float = 1.0,
    resume: bool = False,
    overwrite: bool = False,
    say: Callable[[str], None] = lambda line: None,
    stop: Callable[[], bool] = lambda: False,
) -> list[dict[str, Any]]:
    """Trains the contenders into `out`/NAME, one after the other, and writes summary.json and report.html.

    methods  names from `CONTENDERS` separated by commas; None: all
    scale    share of the epochs, above 0 and at most 1

    Returns what summary.json holds, an object a contender; `truncation` is null for full BPTT. Raises
    InputError, RunError.
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
    splits = load(DATA)
    assert splits.test is not None
    rows = []
    for contender in chosen:
        config, run = contender.config(seed, scale), out / contender.name
        with TrainingProgress(contender.name) as progress:
            model = train(
                config, run, resume=resume, overwrite=overwrite, say=say,
                on_total=progress.total, on_advance=progress.advance, stop=stop,
            )  # fmt: skip
        rows.append(_summarise(contender, config, run, model, splits.train, splits.test))
        write_json(out / "summary.json", rows)
        print(_line(rows[-1]), flush=True)
    write_report([out / contender.name for contender in chosen], out / "report.html", say=say)
    print(f"report in {out / 'report.html'}")
    return rows


def training_activation_bytes(config: Config) -> int:
    """What one step of the run's last phase keeps for its backward pass; see `activation_bytes`."""
    prepared = prepare(config)
    network = build_network(config, prepared.preprocessing, len(prepared.classes))
    trainer = build_trainer(
        config, network, prepared.preprocessing, prepared.train, None, torch.device("cpu")
    )
    rows = np.arange(min(config.batch_size, len(prepared.train)))
    last = phases(config)[-1]
    return activation_bytes(
        lambda: trainer.step_terms(last, rows, Draw(config.seed, 0, 0)), network.parameters()
    )


def _choose(methods: str | None) -> list[Contender]:
    known = {contender.name: contender for contender in CONTENDERS}
    if methods is None:
        return list(CONTENDERS)
    names = [name.strip() for name in methods.split(",")]
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
        "test_accuracy": model.accuracy(test_rows).accuracy,
        "train_accuracy": last["accuracy"],
        "train_seconds": last["seconds"],
        "peak_activation_bytes": training_activation_bytes(config),
        "parameters": sum(parameter.numel() for parameter in model.network.parameters()),
        "remembers_steps": memory_curve(model, train_rows, test_rows).remembers_steps,
    }


def _line(row: dict[str, Any]) -> str:
    return (
        f"{row['name']:<12} test accuracy {row['test_accuracy']:.4f}   remembers {row['remembers_steps']:>3} steps   "
        f"{row['peak_activation_bytes'] / 1e6:5.1f} MB for backward   {row['train_seconds']:4.0f} s"
    )
