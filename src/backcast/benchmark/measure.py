"""Contenders in turn: one round after the other, one contender at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from backcast.benchmark.plan import Contender, Outcome
from backcast.benchmark.worker import Failed, Unfit, Worker
from backcast.errors import InputError


@dataclass(frozen=True)
class Limits:
    """The threads of each worker (None: torch's own number), and the most bytes that one may hold."""

    threads: int | None
    memory: float


def measure(
    contenders: list[Contender],
    rounds: int,
    limits: Limits,
    on_turn: Callable[[str], None],
    on_round: Callable[[int, dict[str, Outcome]], None],
) -> None:
    """A first round in full size that only measures memory, then `rounds` timed ones.

    on_turn   told the contender whose turn it is
    on_round  told after every round how many were timed so far, and what was found, so that a measurement
              that is stopped loses only one round
    """
    outcomes = {contender.name: Outcome() for contender in contenders}
    workers: dict[str, Worker] = {}
    share = limits.memory / len(contenders)
    try:
        for contender in contenders:
            if contender.needs > limits.memory:
                outcomes[
                    contender.name
                ].unfit = f"would need about {contender.needs / 1e9:.1f} GB, the limit is {limits.memory / 1e9:.1f} GB"
            else:
                workers[contender.name] = Worker(contender, limits.threads, limits.memory, share)
        for name in list(workers):
            _ask(name, None, workers, outcomes)
        for number in range(rounds + 1):
            for contender in contenders:
                name = contender.name
                on_turn(name)
                if name not in workers:
                    continue
                answer = _ask(name, "round" if number else "first", workers, outcomes)
                if answer is not None and number:
                    outcomes[name].found.append(answer)
                elif answer is not None:
                    outcomes[name].memory = answer
            if number or not rounds:
                on_round(number, outcomes)
    finally:
        for worker in workers.values():
            worker.close()


def _ask(name: str, what: str | None, workers: dict[str, Worker], outcomes: dict[str, Outcome]) -> Any:
    """The worker's answer; None, and the worker is closed, where it does not fit or failed."""
    try:
        return workers[name].ask(what)
    except Unfit as error:
        outcomes[name].unfit = str(error)
    except (Failed, InputError) as error:
        outcomes[name].error = str(error)
    workers.pop(name).close()
    return None
