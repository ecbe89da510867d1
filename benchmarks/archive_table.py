"""Rows of archive.py to Markdown: a table per data set, with means and standard deviations over seeds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from archive_contenders import CONTENDERS, DATA, Contender

from backcast.benchmark.table import significant
from backcast.paper.statistics import spread

BASE = "ROCKET"
"""The contender whose fit time is 1."""
START, END = "<!-- archive: written by benchmarks/archive.py --render -->", "<!-- end -->"
Row = dict[str, Any]


def latest(rows: list[Row]) -> list[Row]:
    """The last row of each contender, data set and seed: a failed one may have been measured again."""
    return list({(row["data"], row["contender"], row["seed"]): row for row in rows}.values())


def filled(page: str, rows: list[Row]) -> str:
    """The page with the tables of `rows` between its two markers. Raises ValueError where it has none."""
    before, start, rest = page.partition(START)
    _, end, after = rest.partition(END)
    if not start or not end:
        raise ValueError(f"the page has no {START} … {END}")
    return f"{before}{start}\n{tables(rows)}\n{end}{after}"


def tables(rows: list[Row]) -> str:
    """A caption, and a table for each data set that has rows."""
    rows = latest(rows)
    parts = [_caption(rows)]
    for data in DATA:
        own = [row for row in rows if row["data"] == data]
        if own:
            parts.append(f"## {data}\n\n{_table(own)}")
    return "\n\n".join(parts)


def _caption(rows: list[Row]) -> str:
    where = rows[-1]["environment"]
    commands = ", ".join(dict.fromkeys(f"`{row['environment']['command']}`" for row in rows))
    versions = ", ".join(f"{name} {version}" for name, version in where["versions"].items())
    smoke = "**A smoke run: these numbers mean nothing.** " if any(row["smoke"] for row in rows) else ""
    loads = [row["load"] for row in rows if row.get("load") is not None]
    busy = f"; load before a measurement at most {max(loads):g}" if loads else ""
    return (
        f"{smoke}{commands}, {where['date'][:10]}; {where['processor']}, {where['cores']} cores; "
        f"Python {where['python']}, {versions}; kernel: {where['kernel']}{busy}. Means ± standard deviations over seeds, "
        f"each a process of its own, in turn. Settings: what differs from the package's defaults."
    )


def _table(rows: list[Row]) -> str:
    base = _numbers(rows, BASE, "fit_seconds")
    lines = [
        "| | | settings | test accuracy, % | fit, s | × ROCKET | predict, s | peak memory, MB | seeds |",
        "|---|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    for contender in CONTENDERS:
        own = [row for row in rows if row["contender"] == contender.name]
        if own:
            lines.append(_line(contender, own, base))
    return "\n".join(lines)


def _line(contender: Contender, rows: list[Row], base: dict[int, float]) -> str:
    errors = [row["error"] for row in rows if "error" in row]
    done = len(rows) - len(errors)
    seeds = f"{done}, {len(errors)} failed" if errors else str(done)
    head = [contender.name, contender.package, rows[-1]["settings"]]
    if not done:
        reason = errors[-1].replace("|", "/")
        return f"| {' | '.join(head)} | failed: {reason} | – | – | – | – | {seeds} |"
    fit = _numbers(rows, contender.name, "fit_seconds")
    cells = [
        _mean(_numbers(rows, contender.name, "accuracy"), lambda value: f"{100 * value:.1f}"),
        _mean(fit, significant),
        significant(_average(fit) / _average(base)) if base else "–",
        _mean(_numbers(rows, contender.name, "predict_seconds"), significant),
        _mean(_numbers(rows, contender.name, "peak_bytes"), lambda value: f"{value / 1e6:,.0f}"),
    ]
    return f"| {' | '.join([*head, *cells, seeds])} |"


def _numbers(rows: list[Row], contender: str, name: str) -> dict[int, float]:
    """The values that were measured, by seed."""
    return {
        row["seed"]: row[name] for row in rows if row["contender"] == contender and row.get(name) is not None
    }


def _average(values: dict[int, float]) -> float:
    return sum(values.values()) / len(values)


def _mean(values: dict[int, float], shown: Callable[[float], str]) -> str:
    found = spread(values)
    if found is None:
        return "–"
    return shown(found.mean) + ("" if found.deviation is None else f" ± {shown(found.deviation)}")
