"""Symbols as a reader can tell them apart: characters, bytes, whole numbers, words."""

from __future__ import annotations

from typing import Any

from backcast.data.sequences import Kind
from backcast.legible import shortened, visible

UNKNOWN = "�"
SIGNS = {"␣": "a blank", "↵": "a new line", "⇥": "a tab", UNKNOWN: "any symbol the training rows lack"}
"""Signs for what cannot be seen or has no name."""
LONGEST_WORD = 24


def symbol_names(vocabulary: tuple[Any, ...], kind: Kind) -> list[str]:
    """How each of the model's symbols is shown; the unknown one follows the last."""
    return [*(_shown(symbol, kind) for symbol in vocabulary), UNKNOWN]


def legend(texts: list[str]) -> str:
    """What the signs in `texts` mean; empty where there are none."""
    present = set("".join(texts))
    return ", ".join(f"{sign} is {meaning}" for sign, meaning in SIGNS.items() if sign in present)


def _shown(symbol: Any, kind: Kind) -> str:
    if kind == "bytes":
        value = int(symbol)
        return "␣" if value == 32 else chr(value) if 32 < value < 127 else f"{value:02x}"
    if kind == "characters":
        return {" ": "␣", "\n": "↵", "\t": "⇥"}.get(symbol) or visible(symbol)
    return shortened(visible(str(symbol)), LONGEST_WORD) or "''"
