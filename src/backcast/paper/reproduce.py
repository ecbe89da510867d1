"""`backcast reproduce`: which runs are missing, runs them side by side, writes what was found."""

from __future__ import annotations

import math
import os
import shlex
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout

from backcast.build import choose_device
from backcast.config import Config, resolve
from backcast.data.sources import load
from backcast.errors import InputError, nearest
from backcast.methods import METHODS
from backcast.paper.data_sets import DataSet
from backcast.paper.documents import write_data_sets, write_experiment, write_index
from backcast.paper.experiment import Cell, Experiment, RunResult
from backcast.paper.experiments import EXPERIMENTS, choose
from backcast.paper.job import Job, run_job
from backcast.paper.page import write_page
from backcast.paper.results_file import RESULTS, append_result, find, read_results
from backcast.paper.scales import SCALES, Scale, scale
from backcast.phases import phases
from backcast.prepared import prepare
from backcast.progress import TrainingProgress
from backcast.side_by_side import Task, side_by_side

RUNS = "runs"
MOST_JOBS = 8


@dataclass(frozen=True)
class Request:
    """What was asked for; the options of the command."""

    name: str
    scale: str
    seeds: int
    only: tuple[str, ...]
    resume: bool
    render: bool
    out: Path
    data_dir: str | None
    device: str
    jobs: int | None
    memory: float

    def command(self, name: str | None = None, resume: bool = False) -> str:
        """The command that asks for it, or for another experiment in the same way."""
        words = [
            "backcast",
            "reproduce",
            name or self.name,
            "--scale",
            self.scale,
            "--seeds",
            str(self.seeds),
        ]
        if name is None:
            words += [word for row in self.only for word in ("--only", row)]
        if self.data_dir is not None:
            words += ["--data-dir", self.data_dir]
        return shlex.join([*words, *["--resume"] * resume, "--out", str(self.out)])


def reproduce(request: Request, *, stop: Callable[[], bool], say: Callable[[str], None]) -> int:
    """Runs what is missing into `request.out` and writes the documents; returns how many runs have no number.

    Raises InputError, before anything is run; RunError; Interrupted when `stop` says so, with a checkpoint of every run
    that had begun and the documents of what was done.
    """
    chosen_scale = scale(request.scale, request.name in ("figure3", "all") and _dogs_are_there(request))
    experiments = [] if request.name == "table1" else choose(request.name, chosen_scale)
    cells = _wanted(request, experiments)
    choose_device(request.device)
    with nullcontext() if request.render else _locked(request.out):  # documents may be made while others run
        path = request.out / RESULTS
        if path.exists() and not (request.resume or request.render):
            raise InputError(
                f"--out {request.out}: holds results already; say --resume (or --render), or another folder"
            )
        results = read_results(path)
        _say_foreign(request, results, say)
        sizes, absent = _data(request, cells, say)
        missing = [RunResult(cell.checksum, seed, "no data", absent[cell.checksum]) for cell in cells if cell.checksum in absent for seed in range(request.seeds)]  # fmt: skip
        try:
            if not request.render:
                done = {
                    (one.checksum, one.seed) for one in results if one.status in ("finished", "infeasible")
                }
                tasks = _tasks(
                    request, chosen_scale, [cell for cell in cells if cell.checksum not in absent], done
                )
                results = [*results, *_run(request, tasks, sizes, path, stop)]
        finally:
            _write(request, chosen_scale, experiments, [*missing, *read_results(path)], say)
    unmeasured = {(one.checksum, one.seed) for one in missing}
    wanted = {(cell.checksum, seed) for cell in cells for seed in range(request.seeds)}
    unmeasured |= {(one.checksum, one.seed) for one in results if one.status == "failed"} & wanted
    return len(unmeasured - {(one.checksum, one.seed) for one in results if one.status == "finished"})


def _wanted(request: Request, experiments: list[Experiment]) -> list[Cell]:
    """The cells that are to be run, each configuration once. Raises InputError for a row that is not there."""
    rows = {row for experiment in experiments for row in experiment.rows}
    for row in request.only:
        if row not in rows:
            raise InputError(
                f"--only {row}: there is no such row in {request.name}{nearest(row, rows)}; "
                f"it has {', '.join(sorted(rows)) or 'none'}"
            )
    cells = {
        cell.checksum: replace(cell, row=f"{experiment.name}: {cell.row}")
        for experiment in reversed(experiments)
        for cell in reversed(experiment.cells)
        if not request.only or cell.row in request.only
    }
    return list(cells.values())[::-1]


def _config(request: Request, cell: Cell, seed: int = 0) -> Config:
    return resolve([cell.settings, {"seed": seed, "data_dir": request.data_dir, "device": request.device}])


def _data(
    request: Request, cells: list[Cell], say: Callable[[str], None]
) -> tuple[dict[str, int], dict[str, str]]:
    """Training rows of every cell by its checksum; and why there are none, for those whose data are not there.

    This imports every data set once, before several processes ask for it.
    """
    sizes: dict[str, int] = {}
    absent: dict[str, str] = {}
    found: dict[tuple[Any, ...], int | str] = {}
    for cell in cells if not request.render else []:
        config = _config(request, cell)
        key = config.data, config.side, config.max_length, config.limit
        if key not in found:
            try:
                found[key] = len(prepare(replace(config, labeled=1.0)).train)
            except InputError as error:
                found[key] = str(error)
                say(f"{error} (this stops all rows on {config.data})")
        size = found[key]
        if isinstance(size, str):
            absent[cell.checksum] = size
        else:
            sizes[cell.checksum] = size
    return sizes, absent


def _tasks(request: Request, of: Scale, cells: list[Cell], done: set[tuple[str, int]]) -> list[Task]:
    """What is to be run, seed by seed: a run of phase 1 wherever several runs share it, then those runs."""
    tasks: list[Task] = []
    for seed in range(request.seeds):
        todo = [cell for cell in cells if (cell.checksum, seed) not in done]
        starts = {cell.checksum: _pretraining(_config(request, cell, seed)) for cell in todo}
        shared = [start for start in starts.values() if start is not None]
        begun: dict[str, Task] = {}
        for cell in todo:
            start = starts[cell.checksum]
            first = None
            if start is not None and shared.count(start) > 1:
                first = begun.get(start.checksum)
                if first is None:
                    job = _job(request, of, replace(start, row=f"phase 1 of {cell.row}"), seed, None, False)
                    first = begun[start.checksum] = Task(job.out.name, run_job, job)
                    tasks.append(first)
            job = _job(request, of, cell, seed, None if first is None else first.argument.out, True)
            tasks.append(Task(job.out.name, run_job, job, None if first is None else first.name))
    return tasks


def _pretraining(config: Config) -> Cell | None:
    """Phase 1 of a run as a configuration of its own."""
    alone = config.pretraining()
    if alone is None:
        return None
    settings = {
        name: value for name, value in alone.to_dict().items() if name not in ("seed", "data_dir", "device")
    }
    return Cell("", "", settings)


def _job(request: Request, of: Scale, cell: Cell, seed: int, pretrained: Path | None, measure: bool) -> Job:
    config = _config(request, cell, seed)
    unbounded = config.truncation is None or not METHODS[config.method].recurrent
    kind = config.method if measure else f"phase-1-{config.method}"
    only = cell.row.split(": ")[-1]
    name = cell.row.split(": ")[0].split(" of ")[-1]
    return Job(
        name=f"{cell.row} / {cell.column}" if cell.column else cell.row,
        checksum=cell.checksum,
        settings=dict(cell.settings),
        seed=seed,
        out=request.out / RUNS / f"{kind}-{cell.checksum}-{seed}",
        pretrained=pretrained,
        measure=measure,
        budget=int(request.memory * 1e9) if unbounded and measure else None,
        curve_rows=of.curve_rows,
        data_dir=request.data_dir,
        device=request.device,
        command=replace(request, seeds=max(request.seeds, seed + 1), only=()).command(name) + f" --only {shlex.quote(only)}",
    )  # fmt: skip


def _run(
    request: Request, tasks: list[Task], sizes: dict[str, int], path: Path, stop: Callable[[], bool]
) -> Iterator[RunResult]:
    """The results of the tasks as they end, each written down before it is told."""
    if not tasks:
        return
    workers, threads = _workers(request, len(tasks))
    total = sum(_steps(task.argument, sizes) for task in tasks)
    measured = sum(task.argument.measure for task in tasks)
    ended = 0
    with TrainingProgress(request.name) as progress:
        for task, result in side_by_side(
            tasks, workers, threads,
            on_steps=lambda done: progress.total(total, done), stop=stop, go_on=request.command(resume=True),
        ):  # fmt: skip
            job: Job = task.argument
            if not job.measure:
                if result.status != "finished":
                    print(f"{job.name}, seed {job.seed}: {result.status}: {result.reason}", flush=True)
                continue
            ended += 1
            append_result(path, result)
            if result.status == "finished":
                shutil.rmtree(job.out / "checkpoints", ignore_errors=True)
                said = f"{result.seconds:.0f} s"
                if request.scale != "smoke":
                    said = f"{100 * result.accuracy:.1f} %, {said}"
            else:
                said = f"{result.status}: {result.reason}"
            print(f"[{ended}/{measured}] {job.name}, seed {job.seed}: {said}", flush=True)
            yield result


def _steps(job: Job, sizes: dict[str, int]) -> int:
    """Training steps of a job, roughly: as if all rows had labels."""
    config = job.config
    rows = sizes.get(job.checksum) or max(sizes.values())
    return sum(phase.epochs for phase in phases(config)) * math.ceil(rows / config.batch_size)


def _workers(request: Request, tasks: int) -> tuple[int, int]:
    """Processes, and threads of each."""
    cores = os.cpu_count() or 1
    if request.jobs is not None:
        workers = request.jobs
    else:
        workers = 1 if choose_device(request.device).type == "cuda" else min(cores, MOST_JOBS)
    workers = min(workers, tasks)
    return workers, max(1, min(cores // workers, torch.get_num_threads()))


def _say_foreign(request: Request, results: list[RunResult], say: Callable[[str], None]) -> None:
    """Results that no table of this version can show are never mixed into one; how many there are is said."""
    known = {
        cell.checksum
        for name in SCALES
        for dogs in (False, True)
        for make in EXPERIMENTS.values()
        for cell in make(scale(name, dogs)).cells
    }
    foreign = [result for result in results if result.checksum not in known]
    if foreign:
        say(
            f"{request.out / RESULTS}: {len(foreign)} of {len(results)} results are of another version or configuration and are "
            f"not shown; to run those again: {request.command(resume=True)}"
        )


def _write(
    request: Request,
    of: Scale,
    experiments: list[Experiment],
    results: list[RunResult],
    say: Callable[[str], None],
) -> None:
    """A document an experiment, and the page."""
    every = [cell for experiment in experiments for cell in experiment.cells]
    found = find(results, every, range(request.seeds))
    commands = {experiment.name: request.command(experiment.name) for experiment in experiments}
    for experiment in experiments:
        write_experiment(experiment, found, request.out, commands[experiment.name])
    sets = _data_sets(request, of, say) if request.name in ("table1", "all") else []
    if sets:
        write_data_sets(sets, request.out, request.command("table1"))
    if request.name == "all":
        write_index(experiments, found, request.out, request.command())
    page = write_page(experiments, found, request.out, request.command(), commands, sets)
    print(f"report in {page}")


def _data_sets(request: Request, of: Scale, say: Callable[[str], None]) -> list[DataSet]:
    """Table 1: every data set as this scale reads it."""
    sides = {int(base["side"]): base for base in of.dogs.values()}
    shown = {name: base for name, base in of.data.items()}
    shown |= {f"{'Stanford Dogs' if base['data'] == 'stanford-dogs' else 'CIFAR-10 (figure 3)'}, {side} × {side}": base for side, base in sides.items()}  # fmt: skip
    sets = []
    for name, base in shown.items():
        config = resolve([base, {"data_dir": request.data_dir}])
        try:
            splits = load(
                str(config.data), data_dir=config.data_dir, limit=config.limit, max_length=config.max_length,
                side=config.side, permutation_seed=config.permutation_seed,
            )  # fmt: skip
        except InputError as error:
            say(f"{name}: {error}")
            continue
        rows, test = splits.train, splits.test
        sets.append(
            DataSet(name, float(rows.lengths.mean()), len(rows.classes), len(rows), 0 if test is None else len(test))
        )  # fmt: skip
    return sets


def _dogs_are_there(request: Request) -> bool:
    try:
        load("stanford-dogs", data_dir=request.data_dir, side=16)
    except InputError:
        return False
    return True


@contextmanager
def _locked(out: Path) -> Iterator[None]:
    """One process at a time in a folder."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        lock = FileLock(out / ".lock", timeout=0)
        lock.acquire()
    except Timeout:
        raise InputError(f"--out {out}: another process is at work in it") from None
    except OSError as error:
        raise InputError(f"--out {out}: cannot be written: {error.strerror}") from None
    try:
        yield
    finally:
        lock.release()
        (out / ".lock").unlink(missing_ok=True)
