"""The JSON file of a benchmark: written after every round, and continued where it exists."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from backcast.benchmark.table import Record
from backcast.errors import InputError
from backcast.files import write_json

SAME = ("processor", "cores", "threads", "torch", "kernel")
"""What must not differ between the rows of one file."""


class Store:
    """The rows of one benchmark, and the file that holds them (None: no file)."""

    def __init__(self, path: Path | None, benchmark: str, run: Record) -> None:
        """Raises InputError where the file is not one of this benchmark, or cannot be written.

        run   what to note of this call if it measures a row: its command, and the load before it
        """
        self._path, self._run = path, run
        self._document: dict[str, Any] = {"benchmark": benchmark, "runs": [], "machine": {}, "rows": []}
        if path is None:
            return
        try:
            if path.exists():
                self._document |= _read(path, benchmark)
                path.open("r+b").close()
            else:
                self._write()
        except OSError as error:
            raise InputError(f"--json {path}: cannot be written: {error.strerror}") from None

    @property
    def rows(self) -> list[Record]:
        rows: list[Record] = self._document["rows"]
        return rows

    def set_machine(self, machine: dict[str, Any]) -> None:
        """Raises InputError where there are rows that were measured on another machine."""
        before = self._document["machine"]
        for name in SAME:
            if self.rows and before.get(name) != machine[name]:
                raise InputError(
                    f"--json {self._path}: its rows were measured with {name} {before.get(name)!r}, and it is "
                    f"{machine[name]!r} now; choose another file"
                )
        self._document["machine"] = machine

    def find(self, key: Record) -> Record | None:
        """The row that `key` names."""
        for row in self.rows:
            if all(name in row and row[name] == value for name, value in key.items()):
                return row
        return None

    def is_done(self, key: Record, rounds: int) -> bool:
        """Whether the row is there, from at least `rounds` rounds, or known not to fit."""
        row = self.find(key)
        return row is not None and "error" not in row and (not row["fits"] or row["rounds"] >= rounds)

    def put(self, key: Record, record: Record) -> None:
        """Adds a row, or replaces the one that `key` names."""
        found = self.find(key)
        if found is None:
            self.rows.append(record)
        else:
            found.clear()
            found.update(record)
        if self._run not in self._document["runs"]:
            self._document["runs"].append(self._run)
        self._write()

    def _write(self) -> None:
        if self._path is not None:
            write_json(self._path, self._document)


def _read(path: Path, benchmark: str) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"--json {path}: cannot be read: {error.strerror}") from None
    except ValueError:
        raise InputError(f"--json {path}: is there and is not JSON; choose another file") from None
    whole = isinstance(found, dict) and isinstance(found.get("rows"), list) and "machine" in found
    if not whole or not all(
        isinstance(row, dict) and {"rounds", "fits"} <= set(row) for row in found["rows"]
    ):
        raise InputError(f"--json {path}: is there and is not a benchmark's; choose another file")
    if found.get("benchmark") != benchmark:
        raise InputError(
            f"--json {path}: holds the benchmark {found.get('benchmark')!r}, not {benchmark!r}; choose another file"
        )
    return found
