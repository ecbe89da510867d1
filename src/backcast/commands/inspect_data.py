"""`backcast inspect`."""

from __future__ import annotations

import argparse
from pathlib import Path

from backcast.commands.settings import add_some_settings, given
from backcast.commands.terminal import prepare_process, say
from backcast.config import DATA_OPTIONS, FIELDS


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("data", metavar="DATA", help=FIELDS["data"].metadata["help"])
    parser.add_argument("--out", type=Path, metavar="FILE", help="a picture of a few rows: .png, .pdf or .svg")  # fmt: skip
    parser.add_argument("--no-measure", action="store_true", help="run no training steps to measure them")
    add_some_settings(parser, DATA_OPTIONS)


def run(arguments: argparse.Namespace) -> int:
    prepare_process(arguments)
    from backcast.inspection import inspect

    reading = given(arguments, DATA_OPTIONS)
    measure = not arguments.no_measure
    for line in inspect(arguments.data, reading, measure=measure, out=arguments.out, say=say):
        print(line, flush=True)
    return 0
