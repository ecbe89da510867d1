"""What is to be measured: contenders, the rows of a table they fill, and groups that are measured in turn."""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from backcast.benchmark.table import Column, Record


@dataclass(frozen=True)
class Contender:
    """One thing that is measured, in a process of its own.

    name       unique within its group
    work       the file in `work/` that computes it
    settings   what that file's `Work` is made from
    needs      bytes that it is expected to need; 0: little, or unknown
    kernel     the recurrence kernel, as BACKCAST_KERNEL names it; None: as the caller's process has it
    prepared   False: its process is as torch leaves it, computes with denormals and gives freed memory back
    """

    name: str
    work: str
    settings: Mapping[str, Any]
    needs: float = 0.0
    kernel: str | None = None
    prepared: bool = True


@dataclass
class Outcome:
    """What was measured for one contender.

    found     one dictionary per round: seconds by name, or GFLOP/s
    memory    bytes: `peak_bytes`, `resident_bytes`, `kept_bytes`, as far as they are known
    unfit     why it does not fit in memory, where it does not
    error     why it failed, where it did
    """

    found: list[dict[str, float]] = field(default_factory=list)
    memory: dict[str, int | None] = field(default_factory=dict)
    unfit: str | None = None
    error: str | None = None

    @property
    def stopped(self) -> bool:
        return self.unfit is not None or self.error is not None

    def spread(self, name: str = "seconds", prefix: str = "") -> Record:
        """Median, minimum and maximum over the rounds: `seconds`, `seconds_min`, `seconds_max`."""
        values = [each[name] for each in self.found]
        if not values:
            return {}
        label = prefix + name
        return {
            label: statistics.median(values),
            f"{label}_min": min(values),
            f"{label}_max": max(values),
        }


Outcomes = Mapping[str, Outcome]


@dataclass(frozen=True)
class Row:
    """A row of the table: what names it, the contenders it needs, and how it follows from them."""

    key: Record
    contenders: tuple[Contender, ...]
    finish: Callable[[Outcomes], Record]

    def record(self, outcomes: Outcomes, rounds: int) -> Record:
        """The row as it is stored: why there are no numbers, or the numbers."""
        own = [outcomes[contender.name] for contender in self.contenders]
        record: Record = {**self.key, "rounds": rounds, "fits": not any(each.unfit for each in own)}
        for each in own:
            if each.error is not None:
                record["error"] = each.error
            elif each.unfit is not None:
                record["reason"] = each.unfit
        return record if any(each.stopped for each in own) else {**record, **self.finish(outcomes)}


Group = list[Row]
"""Rows that are measured together: all their contenders take turns."""


def single(key: Record, contender: Contender) -> Row:
    """The usual row: one contender's seconds and memory."""

    def finish(outcomes: Outcomes) -> Record:
        outcome = outcomes[contender.name]
        return {**outcome.spread(), **outcome.memory}

    return Row(key, (contender,), finish)


def shape_of(arguments: argparse.Namespace, length: int) -> dict[str, int]:
    """What a step reads, as rows are named by it and contenders made from it."""
    return {
        "length": length, "batch": arguments.batch, "hidden": arguments.hidden, "channels": arguments.channels
    }  # fmt: skip


@dataclass(frozen=True)
class Benchmark:
    """`name` is what its file calls it; `title` goes above the table."""

    name: str
    title: str
    groups: list[Group]
    columns: list[Column]
