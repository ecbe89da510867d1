"""Rows as a Markdown table, a line at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Record = dict[str, Any]
"""One row of the result: what names it, and what was found."""

Show = Callable[[Record, list[Record]], str]
"""A cell's text, from its row and from all rows so far."""


@dataclass(frozen=True)
class Column:
    title: str
    show: Show


def header(columns: list[Column]) -> str:
    return f"| {' | '.join(column.title for column in columns)} |\n|{'---|' * len(columns)}"


def line(columns: list[Column], row: Record, rows: list[Record]) -> str:
    return f"| {' | '.join(column.show(row, rows) for column in columns)} |"


def text(title: str, name: str) -> Column:
    """A part of the row's name."""
    return Column(title, lambda row, _: f"{row[name]:,}" if isinstance(row[name], int) else str(row[name]))


def number(title: str, name: str, digits: int = 3, factor: float = 1.0) -> Column:
    """A number to `digits` significant digits; a dash where it was not measured."""
    return Column(title, lambda row, _: _shown(row, name, digits, factor))


def megabytes(title: str, name: str) -> Column:
    return number(title, name, 4, 1e-6)


def spread(title: str, name: str) -> Column:
    """Minimum to maximum."""

    def show(row: Record, rows: list[Record]) -> str:
        low, high = (_shown(row, f"{name}_{end}", 3, 1.0) for end in ("min", "max"))
        return low if low == high else f"{low}–{high}"

    return Column(title, show)


def outcome(title: str, name: str, digits: int = 3, factor: float = 1.0) -> Column:
    """As `number`, or words where there is none; of an error the file says more."""

    def show(row: Record, rows: list[Record]) -> str:
        if "error" in row:
            return "failed"
        return _shown(row, name, digits, factor) if row["fits"] else f"does not fit: {row['reason']}"

    return Column(title, show)


def significant(value: float, digits: int = 3) -> str:
    """12345.6 as 12,346, 12.3456 as 12.3, 0.00123456 as 0.00123."""
    if value == 0:
        return "0"
    shown = f"{value:.{digits}g}"
    if "e" not in shown:
        return shown
    return f"{value:,.0f}" if abs(value) >= 1 else shown


def _shown(row: Record, name: str, digits: int, factor: float) -> str:
    value = row.get(name)
    return "–" if value is None else significant(value * factor, digits)
