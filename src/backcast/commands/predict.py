"""`backcast predict`."""

from __future__ import annotations

import argparse
from pathlib import Path

from backcast.commands import on_rows
from backcast.commands.on_rows import load_both, require_output
from backcast.commands.terminal import say
from backcast.errors import plural
from backcast.output_files import STANDARD_OUTPUT


def add_options(parser: argparse.ArgumentParser) -> None:
    on_rows.add_options(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help=".csv, .parquet or .jsonl; -: CSV to standard output")  # fmt: skip


def run(arguments: argparse.Namespace) -> int:
    from backcast.predictions import SUFFIXES, write_predictions

    if arguments.out != STANDARD_OUTPUT:
        require_output(arguments.out, f"--out {arguments.out}", arguments.data, SUFFIXES)
    model, rows, split = load_both(arguments, labels=False)
    write_predictions(arguments.out, rows.ids, model.classes, model.predict_proba(rows, arguments.batch_size))
    line = f"{len(rows)} {plural(len(rows), 'row')} ({arguments.data}, {split})"
    if arguments.out == STANDARD_OUTPUT:
        say(line)
    else:
        print(f"{line} in {arguments.out}")
    return 0
