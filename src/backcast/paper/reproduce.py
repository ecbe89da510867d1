"""`backcast reproduce`: runs what is missing side by side, and writes what was found."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

import torch

from backcast.build import choose_device
from backcast.config import resolve
from backcast.data.sources import load
from backcast.errors import InputError
from backcast.machine import cores
from backcast.paper.claims import all_claims, write_claims
from backcast.paper.data_sets import IN_PLACE_OF_DOGS, DataSet, read_data_sets
from backcast.paper.documents import document, write_data_sets, write_experiment
from backcast.paper.experiment import Experiment, RunResult
from backcast.paper.experiments import EXPERIMENTS, choose
from backcast.paper.job import Job, without
from backcast.paper.made_by import as_made, joined, last_note
from backcast.paper.page import write_page
from backcast.paper.planning import Request, is_done, places, sizes_of_data, steps_of, tasks
from backcast.paper.results_file import RESULTS, append_result, find, read_results
from backcast.paper.scales import SCALES, Scale, scale
from backcast.progress import TrainingProgress
from backcast.run import locked
from backcast.side_by_side import Killed, Task, side_by_side

MOST_JOBS = 8


def reproduce(request: Request, *, stop: Callable[[], bool], say: Callable[[str], None]) -> int:
    """Runs what is missing into `request.out` and writes the documents; returns how many runs and data sets are missing.

    Raises InputError, before anything is run; RunError; Interrupted when `stop` says so, leaving a checkpoint of every
    run that had begun and the documents of what was done.
    """
    path = request.out / RESULTS
    results = _results_there(request)
    given = request.note
    if given is None:
        request = replace(request, note=last_note(results))
    of = scale(request.scale, _with_dogs(request, results))
    experiments = [] if request.name == "table1" else choose(request.name, of)
    wanted = places(request, experiments)
    choose_device(request.device)
    sets: dict[str, DataSet | None] = {}
    with nullcontext() if request.render else locked(request.out):  # documents may be made while others run
        results = _results_there(request)  # another process may have been here
        _say_foreign(request, results, say)
        try:
            if not request.render:
                done = {(one.checksum, one.seed) for one in results if is_done(request, one)}
                todo = [
                    (place, seed)
                    for place in wanted
                    for seed in range(request.seeds)
                    if (place.cell.checksum, seed) not in done
                ]
                sizes, absent = sizes_of_data(request, [place for place, _ in todo], say)
                said = {(one.checksum, one.seed, one.reason) for one in results if one.status == "no data"}
                for place, seed in todo:
                    reason = absent.get(place.cell.checksum)
                    if reason and (place.cell.checksum, seed, reason) not in said:
                        append_result(path, RunResult(place.cell.checksum, seed, "no data", reason))
                there = [place for place in wanted if place.cell.checksum not in absent]
                jobs, threads = _workers(request)
                at_once = min(jobs, sum(place.cell.checksum not in absent for place, _ in todo))
                _run(request, tasks(request, of, there, done, at_once), sizes, jobs, threads, stop)
                if request.name in ("table1", "all"):
                    sets = _data_sets(request, of, say)
        finally:
            results = read_results(path)
            _write(request, of, experiments, results, given, [one for one in sets.values() if one])
    if request.render:
        return 0
    measured = {(one.checksum, one.seed) for one in results if one.status in ("finished", "infeasible")}
    asked = {(place.cell.checksum, seed) for place in wanted for seed in range(request.seeds)}
    return len(asked - measured) + list(sets.values()).count(None)


def _run(
    request: Request,
    planned: list[Task],
    sizes: dict[str, int],
    jobs: int,
    threads: int,
    stop: Callable[[], bool],
) -> None:
    """Runs the tasks; writes each result down before anything else is done with it."""
    rows = max(sizes.values(), default=0)
    total = sum(steps_of(task.argument, sizes.get(task.argument.checksum, rows)) for task in planned)
    measured, ended = sum(task.argument.measure for task in planned), 0
    without_phase_1: dict[Path | None, str] = {}
    with TrainingProgress(request.name) as progress:
        found = _results(planned, jobs, threads, partial(progress.total, total), stop)
        for task, result in found:
            job: Job = task.argument
            if not job.measure:
                if result.status != "finished":
                    without_phase_1[job.out] = result.reason
                    print(f"{job.name}, seed {job.seed}: {result.status}: {result.reason}", flush=True)
                continue
            ended += 1
            if result.status == "failed" and job.pretrained in without_phase_1:
                result = replace(result, reason=f"in phase 1: {without_phase_1[job.pretrained]}")
            append_result(request.out / RESULTS, result)
            said = f"{result.status}: {result.reason}"
            if result.status == "finished" and result.accuracy is not None:
                shutil.rmtree(job.out / "checkpoints", ignore_errors=True)
                accuracy = "" if request.scale == "smoke" else f"{100 * result.accuracy:.1f} %, "
                said = f"{accuracy}{result.seconds:.0f} s"
            print(f"[{ended}/{measured}] {job.name}, seed {job.seed}: {said}", flush=True)


def _results(
    planned: list[Task],
    jobs: int,
    threads: int,
    on_steps: Callable[[int, int], None],
    stop: Callable[[], bool],
) -> Iterator[tuple[Task, RunResult]]:
    """Runs tasks side by side; where a process is killed, each it may have run is retried alone; the rest continue."""
    waiting = {task.name: task for task in planned}
    while waiting:
        try:
            for task, result in side_by_side(
                [*waiting.values()], min(jobs, len(waiting)), threads, on_steps=on_steps, stop=stop
            ):
                del waiting[task.name]
                yield task, result
        except Killed as error:
            for task in [waiting.pop(name) for name in error.tasks]:
                try:
                    yield from side_by_side([task], 1, threads, on_steps=lambda done, before: None, stop=stop)
                except Killed:
                    reason = "its process was killed, alone on the machine: out of memory, perhaps"
                    yield task, without(task.argument, "failed", reason)


def _workers(request: Request) -> tuple[int, int]:
    """Processes, and threads of each."""
    jobs = request.jobs
    if jobs is None:
        jobs = 1 if choose_device(request.device).type == "cuda" else min(cores(), MOST_JOBS)
    return jobs, max(1, min(cores() // jobs, torch.get_num_threads()))


def _with_dogs(request: Request, results: list[RunResult]) -> bool:
    """Is figure 3 about Stanford Dogs? Its own finished runs decide; without one, whether the data are there."""
    finished = {result.checksum for result in results if result.status == "finished"}
    for dogs in (True, False):
        by_name = _checksums(request.scale, dogs)
        others = (those for name, those in by_name.items() if name != "figure3")
        if finished & by_name["figure3"].difference(*others):
            return dogs
    if request.render or request.scale == "paper" or request.name not in ("table1", "figure3", "all"):
        return False  # nothing depends on it
    try:
        load("stanford-dogs", data_dir=request.data_dir, side=10)
    except InputError:
        return False
    return True


@cache
def _checksums(name: str, dogs: bool) -> Mapping[str, frozenset[str]]:
    """Those of a scale's configurations, by the experiment's name."""
    of = scale(name, dogs)
    return {one: frozenset(cell.checksum for cell in make(of).cells) for one, make in EXPERIMENTS.items()}


def _known(name: str) -> frozenset[str]:
    """The checksums of all configurations of a scale; no other scale has one of them."""
    return frozenset().union(*(those for dogs in (True, False) for those in _checksums(name, dogs).values()))


def _results_there(request: Request) -> list[RunResult]:
    """The folder's results. Raises InputError where they, or their absence, do not fit the request.

    Those of another scale do not: this one's documents would replace theirs.
    """
    path = request.out / RESULTS
    if request.render and not path.exists():
        raise InputError(f"--out {request.out}: there is no {RESULTS} in it to make documents of")
    if path.exists() and not (request.resume or request.render):
        raise InputError(
            f"--out {request.out}: holds results already; say --resume (or --render), or another folder"
        )
    results = read_results(path)
    there = {result.checksum for result in results}
    for other in SCALES:
        if other != request.scale and there & _known(other):
            raise InputError(
                f"--scale {request.scale}: the results in {request.out} are of scale {other}; say --scale {other}, or another --out"
            )
    return results


def _say_foreign(request: Request, results: list[RunResult], say: Callable[[str], None]) -> None:
    """Reports results that no table of this version can show: they are never mixed into one."""
    known = _known(request.scale)
    foreign = [result for result in results if result.checksum not in known]
    if foreign:
        commands = dict.fromkeys(result.command or "a command that is not known" for result in foreign)
        say(
            f"{request.out / RESULTS}: {len(foreign)} of {len(results)} results are of another version or configuration and are "
            f"not shown; they were run by: {'; '.join(commands)}"
        )


def _write(
    request: Request,
    of: Scale,
    experiments: list[Experiment],
    results: list[RunResult],
    note: str | None,
    sets: list[DataSet],
) -> None:
    """Rewrites all documents of the folder, and writes those of the experiments asked for: they share runs.

    note   of the experiments asked for, in place of those that their runs were made with
    sets   as they were read now; empty: those of the folder
    """
    names = {experiment.name for experiment in experiments}
    shown = [
        experiment
        for experiment in choose("all", of)
        if experiment.name in names or (request.out / f"{experiment.name}.md").exists()
    ]
    found = find(results, [cell for experiment in shown for cell in experiment.cells])
    seeds = {run.seed + 1 for runs in found.values() for run in runs}
    request = replace(request, seeds=max(request.seeds, *seeds, 1))
    documents, notes = [], [note]
    for experiment in shown:
        own = {cell.checksum for cell in experiment.cells}
        made = as_made(
            request,
            [result for result in results if result.checksum in own],
            note if experiment.name in names else None,
        )
        documents.append(document(experiment, found, made.command(experiment.name, ()), made.note))
        notes.append(made.note)
    for one in documents:
        write_experiment(one, request.out)
    made = as_made(request, results, joined(notes) or "")
    read = replace(request, note=made.note) if sets else made
    sets = sets or read_data_sets(request.out, request.scale)
    if sets:
        write_data_sets(sets, request.out, read.command("table1", ()), request.scale, made.note)
    claims, warnings = all_claims(documents), [one.warning for one in documents]
    write_claims(claims, warnings, request.out, made.command("all", ()), made.note)
    page = write_page(documents, claims, request.out, made.command("all", ()), sets, made.note)
    print(f"report in {page}")


def _data_sets(request: Request, of: Scale, say: Callable[[str], None]) -> dict[str, DataSet | None]:
    """Table 1: every data set as this scale reads it; where its data are gone as it was read before, None if never."""
    shown = dict(of.data)
    for base in of.dogs.values():
        name = "Stanford Dogs" if base["data"] == "stanford-dogs" else IN_PLACE_OF_DOGS
        shown[f"{name}, {base['side']} × {base['side']}"] = base
    before = {one.name: one for one in read_data_sets(request.out, request.scale)}
    sets: dict[str, DataSet | None] = {}
    for name, base in shown.items():
        config = resolve([base, {"data_dir": request.data_dir}])
        try:
            splits = load(str(config.data), limit=config.limit, **config.data_options())
        except InputError as error:
            say(f"{name}: {error}")
            sets[name] = before.get(name)
            continue
        rows, test = splits.train, splits.test
        length, tested = float(rows.lengths.mean()), 0 if test is None else len(test)
        sets[name] = DataSet(name, length, len(rows.classes), len(rows), tested)
    return sets
