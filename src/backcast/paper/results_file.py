"""`results.jsonl`: what was run, one line per run, in the order in which the runs ended."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, get_args

from backcast.errors import InputError, RunError
from backcast.paper.experiment import Cell, CurvePoint, Found, RunResult, Status

RESULTS = "results.jsonl"
WRITTEN_AS = (
    *(
        (name, str, "text")
        for name in ("checksum", "reason", "device", "command", "data_sha256", "test_sha256")
    ),
    *((name, int, "whole number") for name in ("seed", "test_rows", "train_rows", "parameters", "jobs")),
    ("kept_bytes", int | None, "whole number"),
    ("seconds", float | int, "number"),
    ("seconds_per_step", float | int | None, "number"),
)
"""What the documents rely on: a field, its type, and the type in words."""


def read_results(path: Path) -> list[RunResult]:
    """The last line of each configuration and seed; none where there is no file. Raises InputError."""
    try:
        *lines, last = path.read_text(encoding="utf-8").split("\n")
    except (FileNotFoundError, NotADirectoryError):
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from None
    results: dict[tuple[str, int], RunResult] = {}
    for number, line in enumerate([*lines, last] if _is_whole(last) else lines, 1):
        try:
            result = _from_json(json.loads(line))
        except (ValueError, TypeError, KeyError) as error:
            raise InputError(
                f"{path}: line {number} is damaged ({error}); remove it, and --resume runs what is missing again"
            ) from None
        results.pop((result.checksum, result.seed), None)  # the order is that of the last lines
        results[result.checksum, result.seed] = result
    return list(results.values())


def append_result(path: Path, result: RunResult) -> None:
    """Adds a line, replacing one that was cut off. Raises RunError where it cannot be written."""
    line = json.dumps(dataclasses.asdict(result), separators=(",", ":"), default=str) + "\n"
    try:
        with path.open("ab+") as file:
            file.seek(0)
            there, end, last = file.read().rpartition(b"\n")
            if _is_whole(last):
                line = f"\n{line}"
            else:
                file.truncate(len(there + end))
            file.write(line.encode())
    except OSError as error:
        raise RunError(f"{path}: cannot be written: {error.strerror}") from None


def _is_whole(last: str | bytes) -> bool:
    """Does the file's last line, behind which no newline stands, only lack that? One that was cut off lacks its end."""
    try:
        json.loads(last)
    except ValueError:
        return False
    return True


def find(results: Iterable[RunResult], cells: Iterable[Cell]) -> Found:
    """The results of these cells, for all seeds there are. Anything with another checksum is left out."""
    by_checksum: dict[str, dict[int, RunResult]] = {cell.checksum: {} for cell in cells}
    for result in results:
        if result.checksum in by_checksum:
            by_checksum[result.checksum][result.seed] = result
    return {
        checksum: tuple(one[seed] for seed in sorted(one)) for checksum, one in by_checksum.items() if one
    }


def _from_json(found: Any) -> RunResult:
    if not isinstance(found, dict):
        raise ValueError("it is no object")
    known = {field.name for field in dataclasses.fields(RunResult)}  # a later version may say more
    curve = tuple(CurvePoint(int(step), float(train), float(test)) for step, train, test in found["curve"])
    given = {name: value for name, value in found.items() if name in known}
    result = RunResult(**{**given, "curve": curve, "epochs": tuple(map(int, found["epochs"]))})
    if result.status not in get_args(Status):
        raise ValueError(f"its status is {result.status!r}")
    for name, value in (("accuracy", result.accuracy), ("train_accuracy", result.train_accuracy)):
        if value is not None and not (isinstance(value, float | int) and 0 <= value <= 1):
            raise ValueError(f"its {name} is {value!r}")
    for name, kind, what in WRITTEN_AS:
        if not isinstance(getattr(result, name), kind):
            raise ValueError(f"its {name} is no {what}")
    return result
