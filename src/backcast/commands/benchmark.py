"""`backcast benchmark`."""

from __future__ import annotations

import argparse
import sys

from backcast.benchmark.options import add_options

__all__ = ["add_options", "run"]


def run(arguments: argparse.Namespace) -> int:
    from backcast.benchmark import command

    command.run(arguments, ["backcast", *sys.argv[1:]])
    return 0
