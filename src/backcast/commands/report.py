"""`backcast report`."""

from __future__ import annotations

import argparse
from pathlib import Path

from backcast.commands.terminal import prepare_process, say
from backcast.config import FIELDS


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN")
    parser.add_argument(
        "--interactive",
        action="store_true",
        help="a page to drag along time on instead: what the networks remember of some rows, step by step",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="default: report.html, or interactive.html; of one run, in its folder",
    )
    parser.add_argument("--data-dir", help=FIELDS["data_dir"].metadata["help"])


def run(arguments: argparse.Namespace) -> int:
    prepare_process(arguments)
    if arguments.interactive:
        from backcast.report.interactive.page import write_interactive as write
    else:
        from backcast.report.page import write_report as write

    folder = arguments.runs[0] if len(arguments.runs) == 1 else Path()
    out = arguments.out or folder / ("interactive.html" if arguments.interactive else "report.html")
    write(arguments.runs, out, data_dir=arguments.data_dir, say=say)
    print(f"report in {out}")
    return 0
