"""What every page of a report needs to be written: a place, its template, the command that makes it."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from backcast.output_files import require_place, write_or_refuse
from backcast.run import read_config


def check_place(runs: list[Path], out: Path) -> None:
    """Raises InputError for what is no run, checked first (by default the page goes there), or if `out` cannot be."""
    for run in runs:
        read_config(run)
    require_place(out, f"--out {out}")


def render(package: str, template: str, **values: Any) -> str:
    """A template of `package` filled in; values are escaped, and none may be missing.

    Names of files need not be UTF-8, but the page is.
    """
    environment = Environment(loader=PackageLoader(package, "."), autoescape=True, undefined=StrictUndefined)
    page = environment.get_template(template).render(**values)
    return page.encode(errors="replace").decode()


def write_page(out: Path, page: str) -> None:
    """Whole or not at all. Raises InputError where it cannot be written, RunError where the disk is full."""
    write_or_refuse(out, page.encode(), f"--out {out}")


def command(runs: list[Path], out: Path, data_dir: str | None, *flags: str) -> str:
    """The command line that makes the page again."""
    given = [] if data_dir is None else ["--data-dir", data_dir]
    return shlex.join(["backcast", "report", *map(str, runs), *flags, *given, "--out", str(out)])
