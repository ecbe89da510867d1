"""Progress: only steps that were made in this session say how fast it goes, and how much longer it takes."""

from __future__ import annotations

import time
from collections.abc import Callable

from backcast.progress import TrainingProgress
from backcast.side_by_side import Task, side_by_side


def go_on(begun: int, advance: Callable[[int], None], stop: Callable[[], bool]) -> None:
    """Ten steps of a task that had `begun` before."""
    for made in range(11):
        advance(begun + made)
        time.sleep(0.1)


def test_steps_of_an_earlier_session_do_not_count_for_the_speed() -> None:
    progress, now = TrainingProgress("demo"), [0.0]
    progress._bar.get_time = lambda: now[0]  # type: ignore[method-assign]
    task = progress._bar.tasks[0]
    for second in range(60):  # five steps a second; four workers say late that they had 4,000 steps each
        now[0] = second
        before = 4_000 * min(4, second // 3)
        progress.total(24_000, before + 5 * second, before)
    assert task.completed == 16_000 + 5 * 59 and task.speed == 5.0
    assert task.time_remaining == (24_000 - task.completed) / 5


def test_a_run_that_goes_on_begins_where_it_was_and_measures_from_there() -> None:
    progress, now = TrainingProgress("r-lstm"), [0.0]
    progress._bar.get_time = lambda: now[0]  # type: ignore[method-assign]
    progress.total(10_000, 9_000)
    for second in range(1, 31):
        now[0] = second
        progress.advance("epoch 3")
    (task,) = progress._bar.tasks
    assert task.completed == 9_030 and task.speed == 1.0


def test_workers_tell_the_steps_of_earlier_sessions_apart() -> None:
    told: list[tuple[int, int]] = []
    tasks = [Task(str(begun), go_on, begun) for begun in (0, 500)]
    list(side_by_side(tasks, 2, 1, on_steps=lambda *counts: told.append(counts), stop=lambda: False))
    assert told[-1] == (520, 500) and all(0 <= done - before <= 20 for done, before in told)
