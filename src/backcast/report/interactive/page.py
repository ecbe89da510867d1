"""The page itself: data, style and scripts put into `page.html.j2`. It needs no server and no network."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

from markupsafe import Markup

from backcast.report.collect import collect
from backcast.report.interactive.chosen import require_states, shown_rows, shown_runs
from backcast.report.interactive.data import page_data
from backcast.report.interactive.detail import LADDER, MOST_BYTES, details_that_fit, too_much
from backcast.report.memory import EXPLAINED, MOST_ERROR
from backcast.report.results import Results, describe_rows
from backcast.report.writing import check_place, command, render, write_page

PACKAGE = "backcast.report.interactive"
SCRIPTS = (
    "data",
    "chart",
    "picture",
    "line",
    "text",
    "answers",
    "probabilities",
    "memory",
    "controls",
    "main",
)
"""The files of `scripts/`, in the order in which a browser reads them; together they are one script."""


def write_interactive(
    runs: list[Path], out: Path, data_dir: str | None = None, say: Callable[[str], None] = lambda line: None
) -> None:
    """Measures the runs and writes the page. Raises InputError, and then writes nothing."""
    check_place(runs, out)
    require_states(runs)
    results = collect(runs, data_dir, say)
    write_page(out, interactive_page(results, command(runs, out, data_dir, "--interactive")))


def interactive_page(results: Results, command: str) -> str:
    """The HTML, at most `MOST_BYTES`: as many rows, in as much detail, as fit. Raises InputError where none does."""
    shown = shown_runs(results)
    rows = shown_rows(results, shown, LADDER[0][0])
    for detail in details_that_fit(shown, rows):
        data = page_data(shown, rows, detail)
        page = _filled_in(results, data, command)
        if len(page.encode()) <= MOST_BYTES:
            return page
    raise too_much(shown)


def _filled_in(results: Results, data: dict[str, Any], command: str) -> str:
    script = "\n".join(_read(f"scripts/{name}.js") for name in SCRIPTS)
    style = _read("style.css")
    return render(
        PACKAGE, "page.html.j2",
        title=f"{results.groups[0].config.data}: what the network remembers, step by step",
        rows=describe_rows(results),
        results=results,
        groups=data["groups"],
        kind=data["kind"],
        explained=EXPLAINED,
        most_error=MOST_ERROR,
        # `<` would let a name end the element; in JSON it can be written otherwise. A nan can not, and would end the script.
        data=Markup(json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")),
        script=Markup(script),
        style=Markup(style),
        script_hash=_hash(script),
        style_hash=_hash(style),
        command=command,
        version=version("backcast"),
    )  # fmt: skip


def _read(name: str) -> str:
    return files(PACKAGE).joinpath(name).read_text(encoding="utf-8")


def _hash(content: str) -> str:
    """As a Content-Security-Policy names what may run: anything else in the page may not."""
    return f"sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}"
