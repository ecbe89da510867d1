"""From options to a finished table: what `backcast benchmark` does."""

from __future__ import annotations

import argparse
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from backcast.benchmark import data, memory, paper, recurrence, segments, step, stream, table
from backcast.benchmark.bar import Bar
from backcast.benchmark.machine import available_memory, load
from backcast.benchmark.measure import Limits, measure
from backcast.benchmark.plan import Benchmark, Contender, Group, Outcome
from backcast.benchmark.store import Store
from backcast.benchmark.worker import Failed, Worker
from backcast.errors import InputError, RunError
from backcast.locks import held_beside

SHARE = 0.75
"""The share of the free memory that a contender may hold by default."""
BUSY = 0.5
"""Load from which a measurement is disturbed: threads that wait for each other wait for a whole time slice."""


def run(arguments: argparse.Namespace, command: list[str]) -> None:
    """Prints a row of the table as soon as it is there. Raises InputError before anything is measured, and
    RunError afterwards where a contender failed."""
    benchmark = _plan(arguments)
    rounds = getattr(arguments, "rounds", 0)
    with _alone(arguments.json):
        _run(arguments, command, benchmark, rounds)


def _alone(path: Path | None) -> AbstractContextManager[None]:
    """Allows one process at a time to write the file."""
    if path is None or not path.parent.is_dir():  # which the store refuses
        return nullcontext()
    return held_beside(path, f"--json {path}")


def _run(arguments: argparse.Namespace, command: list[str], benchmark: Benchmark, rounds: int) -> None:
    busy = load()
    store = Store(arguments.json, benchmark.name, {"command": command, "load": busy})
    limits = Limits(arguments.threads, _limit(arguments.memory_limit))
    machine = _describe(limits)
    store.set_machine(machine)
    if busy is not None and busy >= BUSY:
        print(
            f"backcast: others compute here (load {busy:g}), and seconds can be many times too long",
            file=sys.stderr,
        )
    print(_heading(benchmark, machine), flush=True)
    turns = [_contenders(group, store, rounds) for group in benchmark.groups]
    with Bar(benchmark.name, sum(map(len, turns)) * (rounds + 1)) as bar:
        for group, contenders in zip(benchmark.groups, turns, strict=True):
            if contenders:
                _measure(group, contenders, store, rounds, limits, bar)
            for row in group:
                found = store.find(row.key)
                assert found is not None
                print(table.line(benchmark.columns, found, store.rows), flush=True)
    failed = [row for row in store.rows if "error" in row]
    if failed:
        raise RunError(f"{len(failed)} of the rows failed; the first with: {failed[0]['error']}")


def _plan(arguments: argparse.Namespace) -> Benchmark:
    if arguments.benchmark != "step":
        return {"recurrence": recurrence, "memory": memory, "stream": stream, "data": data}[
            arguments.benchmark
        ].plan(arguments)
    usual: dict[str, Any] = {"lengths": [1_024, 4_096, 16_384], "batch": 32, "channels": 3}
    if arguments.paper:
        usual = {"lengths": [784], "batch": 128, "channels": 1}
    elif arguments.segments:
        usual["lengths"] = [4_096]
        if arguments.only:
            raise InputError("--only goes with `step` and `step --paper`; --segments has one method")
    for name, value in usual.items():
        if getattr(arguments, name) is None:
            setattr(arguments, name, value)
    kind = paper if arguments.paper else segments if arguments.segments else step
    return kind.plan(arguments)


def _limit(gigabytes: float | None) -> float:
    if gigabytes is not None:
        return gigabytes * 1e9
    free = available_memory()
    return float("inf") if free is None else SHARE * free


def _describe(limits: Limits) -> dict[str, Any]:
    """The machine as a worker sees it."""
    worker = Worker(None, limits.threads)
    try:
        worker.ask()
        machine: dict[str, Any] = worker.ask("describe")
        return machine
    except Failed as error:
        raise RunError(f"a worker cannot compute here: {error}") from None
    finally:
        worker.close()


def _heading(benchmark: Benchmark, machine: dict[str, Any]) -> str:
    size = machine["memory"]
    known = "" if size is None else f", {size / 1e9:.0f} GB"
    return (
        f"{benchmark.title}\n{machine['processor']}, {machine['cores']} cores, {machine['threads']} threads{known}, "
        f"torch {machine['torch']}; kernel: {machine['kernel']}\n\n{table.header(benchmark.columns)}"
    )


def _contenders(group: Group, store: Store, rounds: int) -> list[Contender]:
    """The contenders that unfinished rows need, each once."""
    needed = {
        contender.name: contender
        for row in group
        if not store.is_done(row.key, rounds)
        for contender in row.contenders
    }
    return list(needed.values())


def _measure(
    group: Group, contenders: list[Contender], store: Store, rounds: int, limits: Limits, bar: Bar
) -> None:
    """Measures the contenders in turn; the file holds the rows after every round."""
    rows = [row for row in group if not store.is_done(row.key, rounds)]

    def keep(done: int, outcomes: dict[str, Outcome]) -> None:
        for row in rows:
            before = store.find(row.key)
            # A row of more rounds is kept until there are as many.
            if before is None or "error" in before or before["rounds"] <= done:
                store.put(row.key, row.record(outcomes, done))

    measure(contenders, rounds, limits, bar.turn, keep)
