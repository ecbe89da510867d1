"""What was asked for, and which runs that takes."""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from backcast.config import Config, resolve
from backcast.errors import InputError, nearest
from backcast.methods import METHODS
from backcast.paper.experiment import Cell, Experiment, RunResult, of_ours
from backcast.paper.job import Job, run_job
from backcast.paper.options import MEMORY
from backcast.paper.scales import Scale
from backcast.phases import phases
from backcast.prepared import prepare
from backcast.run import METRICS
from backcast.side_by_side import Task

RUNS = "runs"


@dataclass(frozen=True)
class Request:
    """The options of `backcast reproduce`."""

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
    note: str | None

    def command(self, name: str | None = None, only: tuple[str, ...] | None = None) -> str:
        """The command for this again, or for another experiment or other rows, in the same folder: it resumes."""
        words = [
            "backcast",
            "reproduce",
            name or self.name,
            "--scale",
            self.scale,
            "--seeds",
            str(self.seeds),
        ]
        words += [word for row in (self.only if only is None else only) for word in ("--only", row)]
        options = {
            "--data-dir": self.data_dir,
            "--device": None if self.device == "auto" else self.device,
            "--jobs": self.jobs,
            "--memory": None if self.memory == MEMORY else f"{self.memory:g}",
            "--note": self.note or None,
        }
        words += [str(word) for pair in options.items() if pair[1] is not None for word in pair]
        return shlex.join([*words, "--resume", "--out", str(self.out)])


class Place(NamedTuple):
    """Where a configuration first occurs."""

    experiment: str
    cell: Cell


def places(request: Request, experiments: list[Experiment]) -> list[Place]:
    """The cells to run, each configuration once. Raises InputError for a row that does not exist."""
    rows = {row for experiment in experiments for row in experiment.rows}
    typed = {name: row for row in rows for name in (row, *_easily_typed(row))}
    for row in request.only:
        if row not in typed:
            known = ", ".join(f'"{one}"' for one in sorted(rows))
            raise InputError(
                f"--only {row}: there is no such row in {request.name}{nearest(row, typed)}; it has {known or 'none'}"
            )
    only = {typed[row] for row in request.only}
    found: dict[str, Place] = {}
    for experiment in experiments:
        for cell in experiment.cells:
            if not only or cell.row in only:
                found.setdefault(cell.checksum, Place(experiment.name, cell))
    return list(found.values())


def _easily_typed(row: str) -> tuple[str, str]:
    """Our name of a row alone, without the paper's behind it, and that with x for ×."""
    own = of_ours(row)
    return own, own.replace("×", "x")


def config_of(request: Request, settings: Any, seed: int = 0) -> Config:
    return resolve([settings, {"seed": seed, "data_dir": request.data_dir, "device": request.device}])


def sizes_of_data(
    request: Request, wanted: list[Place], say: Callable[[str], None]
) -> tuple[dict[str, int], dict[str, str]]:
    """Training rows by the cells' checksums; and for cells whose data are missing, why.

    This imports every data set once, before several processes ask for it.
    """
    sizes: dict[str, int] = {}
    absent: dict[str, str] = {}
    found: dict[tuple[Any, ...], int | str] = {}
    for _, cell in wanted:
        config = config_of(request, cell.settings)
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


def is_done(request: Request, result: RunResult) -> bool:
    """Is it done, so that nothing is run again? What was infeasible may fit another budget."""
    if result.status == "infeasible":
        return result.kept_bytes is not None and result.kept_bytes > request.memory * 1e9
    return result.status == "finished"


def tasks(
    request: Request, of: Scale, wanted: list[Place], done: set[tuple[str, int]], jobs: int
) -> list[Task]:
    """What to run, seed by seed: phase 1 on its own where several runs share it or it exists already, then those runs.

    done  (checksum, seed) of what has a result
    jobs  runs at a time
    """
    planned: list[Task] = []
    for seed in range(request.seeds):
        todo = [place for place in wanted if (place.cell.checksum, seed) not in done]
        starts = {place.cell.checksum: _pretraining(request, place.cell, seed) for place in todo}
        shared = [start.checksum for start in starts.values() if start is not None]
        begun: dict[str, Task] = {}
        for place in todo:
            start, first = starts[place.cell.checksum], None
            if start is not None:
                job = _job(request, of, Place(place.experiment, start), seed, None, False, jobs)
                if shared.count(start.checksum) > 1 or (job.out / METRICS).exists():
                    first = begun.get(start.checksum)
                    if first is None:
                        first = begun[start.checksum] = Task(job.out.name, run_job, job)
                        planned.append(first)
            job = _job(request, of, place, seed, None if first is None else first.argument.out, True, jobs)
            planned.append(Task(job.out.name, run_job, job, None if first is None else first.name))
    return planned


def steps_of(job: Job, rows: int) -> int:
    """Training steps of a job on that many rows, roughly."""
    config, total = job.config, 0
    for phase in phases(config):
        read = rows * config.labeled if phase.only_supervised else rows
        total += phase.epochs * math.ceil(read / config.batch_size)
    return total


def _pretraining(request: Request, cell: Cell, seed: int) -> Cell | None:
    """Phase 1 of a run as a configuration of its own."""
    alone = config_of(request, cell.settings, seed).pretraining()
    if alone is None:
        return None
    settings = {
        name: value for name, value in alone.to_dict().items() if name not in ("seed", "data_dir", "device")
    }
    return Cell(f"phase 1 of {cell.row}", cell.column, settings)


def _job(
    request: Request, of: Scale, place: Place, seed: int, pretrained: Path | None, measure: bool, jobs: int
) -> Job:
    cell = place.cell
    config = config_of(request, cell.settings, seed)
    unbounded = config.truncation is None or not METHODS[config.method].recurrent
    kind = config.method if measure else f"phase-1-{config.method}"
    return Job(
        name=f"{place.experiment}: {cell.row} / {cell.column}",
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
        jobs=jobs,
        command=request.command(place.experiment, (cell.row,)),
    )
