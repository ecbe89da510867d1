"""One run of a cell with one seed, in a process of its own: phase 1 from another run, training, measuring."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

from backcast.build import TrainedModel
from backcast.config import Config, resolve
from backcast.data.sequences import Sequences
from backcast.errors import InputError, RunError, plural
from backcast.evaluation import rows_for
from backcast.history import read_metrics
from backcast.machine import processor
from backcast.paper.experiment import CurvePoint, RunResult, Status
from backcast.phases import phases
from backcast.prepared import rows_checksum
from backcast.run import METRICS, read_environment, train
from backcast.side_by_side import StepCount
from backcast.step_memory import kept_for_backward
from backcast.trainer import Interrupted

TEST_BATCH = 64
MOST_POINTS = 20  # of a curve: reading the test rows takes time
NOT_KEPT = ("command", "rows", "data_checksum", "data_sha256", "began")


@dataclass(frozen=True)
class Job:
    """What a process is told to run.

    name        names the configuration, for a person
    checksum    of the cell; phase 1 on its own has another
    settings    of the run, except the seed
    out         its folder
    pretrained  the folder of phase 1 if another run has done it
    measure     False for phase 1 on its own: nothing is measured
    budget      bytes that a step on one row may keep for its backward pass; None: any
    curve_rows  test rows that are read at every point of the curve; None: all
    jobs        runs at a time
    command     that runs it again
    """

    name: str
    checksum: str
    settings: dict[str, Any]
    seed: int
    out: Path
    pretrained: Path | None
    measure: bool
    budget: int | None
    curve_rows: int | None
    data_dir: str | None
    device: str
    jobs: int
    command: str

    @property
    def config(self) -> Config:
        return resolve([self.settings, {"seed": self.seed, "data_dir": self.data_dir, "device": self.device}])


def run_job(job: Job, advance: Callable[[int], None], stop: Callable[[], bool]) -> RunResult:
    """Trains and measures. Whatever goes wrong but Interrupted is a result, with its reason: the other runs continue.

    advance  told how many training steps are done, once at the start and at each step
    """
    try:
        return _run(job, advance, stop)
    except Interrupted:
        raise
    except (InputError, RunError) as error:
        return without(job, "failed", str(error))
    except Exception as error:  # a bug of ours on one row must not cost the others
        return without(job, "failed", f"{type(error).__name__}: {' '.join(str(error).split())[:300]}")


def _run(job: Job, advance: Callable[[int], None], stop: Callable[[], bool]) -> RunResult:
    config = job.config
    kept = None if job.budget is None else kept_for_backward(config, 1)
    if kept is not None and job.budget is not None and kept > job.budget:
        reason = f"a step on one row keeps {kept / 1e9:.2g} GB for its backward pass, the budget is {job.budget / 1e9:g} GB"
        return replace(without(job, "infeasible", reason), kept_bytes=kept)
    steps = StepCount(advance)
    test: list[Sequences] = []  # read once, when first asked for
    every = math.ceil(config.epochs / MOST_POINTS)

    def test_rows(model: TrainedModel) -> Sequences:
        if not test:
            test.append(rows_for(model, str(config.data), "test", {"data_dir": job.data_dir})[0])
        return test[0]

    def measure(model: TrainedModel, epoch: int) -> dict[str, float]:
        if not job.measure or (epoch % every and epoch < config.epochs):
            return {}
        rows = test_rows(model)
        few = rows if job.curve_rows is None else rows.select(np.arange(min(job.curve_rows, len(rows))))
        return {"test_accuracy": model.evaluate(few, TEST_BATCH).accuracy}

    model = train(
        config, job.out, resume=True, pretrained=job.pretrained, measure=measure,
        on_total=steps.on_total, on_advance=steps.on_advance, stop=stop,
    )  # fmt: skip
    environment = read_environment(job.out)
    epochs = read_metrics(job.out / METRICS)
    scores = model.evaluate(test_rows(model), TEST_BATCH) if job.measure else None
    return RunResult(
        checksum=job.checksum,
        seed=job.seed,
        status="finished",
        accuracy=None if scores is None else scores.accuracy,
        train_accuracy=epochs[-1].get("accuracy"),
        test_rows=0 if scores is None else scores.count,
        train_rows=environment["rows"]["train"],
        steps=epochs[-1]["step"],
        epochs=tuple(phase.epochs for phase in phases(config)),
        seconds=epochs[-1]["seconds"],
        seconds_per_step=_seconds_per_step(epochs),
        parameters=sum(part.numel() for part in model.network.parameters() if part.requires_grad),
        device=_device(environment, model.device),
        jobs=job.jobs,
        kept_bytes=kept,
        data_sha256=environment["data_sha256"],
        test_sha256=rows_checksum(test_rows(model)) if job.measure else "",
        began=environment["began"],
        command=job.command,
        curve=tuple(
            CurvePoint(entry["step"], entry["accuracy"], entry["test_accuracy"])
            for entry in epochs
            if "test_accuracy" in entry
        ),
        environment={name: value for name, value in environment.items() if name not in NOT_KEPT},
    )


def _seconds_per_step(epochs: list[dict[str, Any]]) -> float | None:
    """The median over the last phase's epochs, without the run's first; where there is only one epoch, its mean."""
    last = epochs[-1]
    found = [
        (now["seconds"] - before["seconds"]) / (now["step"] - before["step"])
        for before, now in pairwise(epochs)
        if now["phase"] == last["phase"]
    ]
    return median(found) if found else last["seconds"] / last["step"]


def _device(environment: dict[str, Any], now: torch.device) -> str:
    """Where the run began, and where it went on if that was elsewhere: its seconds are of both."""
    began = environment["gpu"] or _processor(environment["processor"], environment["threads"])
    gpu = torch.cuda.get_device_name(now) if now.type == "cuda" else None
    here = gpu or _processor(processor(), torch.get_num_threads())
    return str(began) if began == here else f"{began}, then {here}"


def _processor(name: str, threads: int) -> str:
    return f"{name}, {threads} {plural(threads, 'thread')}"


def without(job: Job, status: Status, reason: str) -> RunResult:
    """A run that has no number."""
    return RunResult(job.checksum, job.seed, status, reason, command=job.command)
