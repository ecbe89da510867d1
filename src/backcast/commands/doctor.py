"""`backcast doctor`."""

from __future__ import annotations

import argparse

from backcast.commands.terminal import prepare_process, print_table


def add_options(parser: argparse.ArgumentParser) -> None:
    """It has none."""


def run(arguments: argparse.Namespace) -> int:
    prepare_process(arguments)
    from backcast.doctor import lines

    print_table(lines())
    return 0
