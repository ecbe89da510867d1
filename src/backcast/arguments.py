"""Readers of single values from the command line: what they refuse, argparse reports in one line."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from backcast.errors import nearest


def whole(low: int) -> Callable[[str], int]:
    """A reader of whole numbers, at least `low`, from the command line."""

    def read(text: str) -> int:
        if not text.lstrip("-").isdigit() or int(text) < low:
            raise argparse.ArgumentTypeError(f"{text}: must be a whole number, at least {low}")
        return int(text)

    return read


def one_of(*names: str) -> Callable[[str], str]:
    """A reader of one of these names from the command line; for another it says the nearest."""

    def read(text: str) -> str:
        if text not in names:
            raise argparse.ArgumentTypeError(
                f"{text}: must be one of {', '.join(names)}{nearest(text, names)}"
            )
        return text

    return read


def above_zero(text: str, unit: str) -> float:
    """Reads a number of `unit` from the command line, above 0."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text}: must be a number of {unit}, above 0")
    return value


def gigabytes(text: str) -> float:
    """As `above_zero`."""
    return above_zero(text, "gigabytes")
