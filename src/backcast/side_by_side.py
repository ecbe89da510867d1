"""Several runs at once, in one process each, that can be stopped and resumed."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch

from backcast import process
from backcast.errors import RunError
from backcast.trainer import Interrupted


class Killed(RunError):
    """A process was killed, and the work of the others with it; it ran one of `tasks`."""

    def __init__(self, tasks: list[str]) -> None:
        super().__init__(f"a process was killed, out of memory perhaps (it ran one of: {', '.join(tasks)})")
        self.tasks = tasks


@dataclass(frozen=True)
class Task:
    """`work(argument, advance, stop)` in another process, once the task called `after` has ended.

    work      a function of a module: calls `advance` with the number of its steps that are done, first of all with that
              of an earlier session, and, once `stop()` is true, soon raises Interrupted, with a checkpoint
    """

    name: str
    work: Callable[[Any, Callable[[int], None], Callable[[], bool]], Any]
    argument: Any
    after: str | None = None


class Counts(NamedTuple):
    """Where a task's steps are counted, shared between processes: those of earlier sessions, and those made now."""

    before: Any
    made: Any


class StepCount:
    """Turns a run's `on_total` and `on_advance` into a task's `advance`."""

    def __init__(self, advance: Callable[[int], None]) -> None:
        self._advance, self._done = advance, 0

    def on_total(self, total: int, done: int) -> None:
        self._done = done
        self._advance(done)

    def on_advance(self, description: str) -> None:
        self._done += 1
        self._advance(self._done)


def side_by_side(
    tasks: Sequence[Task],
    workers: int,
    threads: int,
    *,
    on_steps: Callable[[int, int], None],
    stop: Callable[[], bool],
) -> Iterator[tuple[Task, Any]]:
    """Yields each task with its result as it ends; tasks begin in the order given, as soon as they may.

    workers, threads  the number of processes, and of torch's threads in each
    on_steps          told twice a second how many steps of all tasks are done, and how many of these were before now

    Raises Interrupted when `stop` says so, Killed where a process is, and whatever a task raises.
    """
    processes = multiprocessing.get_context("spawn")
    counts = {task.name: Counts(processes.Value("q", 0), processes.Value("q", 0)) for task in tasks}
    others = set(multiprocessing.active_children())
    waiting, running = list(tasks), dict[Future[Any], Task]()
    with ProcessPoolExecutor(workers, processes, _begin_worker, (counts, threads)) as pool:
        try:
            while waiting or running:
                names = {task.name for task in (*waiting, *running.values())}
                ready = [task for task in waiting if task.after is None or task.after not in names]
                for task in ready[: workers - len(running)]:
                    with _interrupts_ignored():
                        running[pool.submit(_work, task)] = task
                    waiting.remove(task)
                finished, _ = wait(running, timeout=0.5, return_when=FIRST_COMPLETED)
                before = sum(each.before.value for each in counts.values())
                on_steps(before + sum(each.made.value for each in counts.values()), before)
                broken = [future for future in finished if isinstance(future.exception(), BrokenProcessPool)]
                for future in finished - {*broken}:
                    yield running.pop(future), future.result()
                if broken:
                    raise Killed([task.name for task in running.values()])
                if stop():
                    raise Interrupted
        except BrokenProcessPool:
            raise Killed([task.name for task in running.values()]) from None
        except BaseException:
            for worker in {*multiprocessing.active_children()} - others:
                worker.terminate()  # which asks a run to stop at its next step, with a checkpoint
            pool.shutdown(cancel_futures=True)
            raise


@contextmanager
def _interrupts_ignored() -> Iterator[None]:
    """A process that begins inside leaves Ctrl-C to us until it can handle it itself."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


_counts: dict[str, Counts] = {}  # in a worker
_asked_to_stop: list[int] = []
_at_work = threading.Lock()


def _begin_worker(counts: dict[str, Counts], threads: int) -> None:
    process.prepare()
    torch.set_num_threads(threads)
    _counts.update(counts)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    for number in process.ending_signals():
        signal.signal(number, lambda number, frame: _asked_to_stop.append(number))


def _end_with_parent() -> None:
    """A worker whose parent was killed stops its run at the next step, with a checkpoint; the pool would wait forever."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    _asked_to_stop.append(signal.SIGTERM)
    with _at_work:
        os._exit(1)


def _work(task: Task) -> Any:
    own, first = _counts[task.name], list[int]()

    def advance(steps: int) -> None:
        if not first:
            first.append(steps)
            own.before.value = steps
        own.made.value = steps - first[0]

    with _at_work:
        return task.work(task.argument, advance, lambda: bool(_asked_to_stop))
