"""Names of the user's, which may hold anything, as a reader can see them."""

from __future__ import annotations

import unicodedata


def visible(text: str) -> str:
    """The same text with what cannot be printed escaped, as \\x00; blanks stay."""
    return "".join(_visible(letter) for letter in text)


def shortened(text: str, longest: int) -> str:
    """Without its middle where it is long: names that begin alike often end differently."""
    if len(text) <= longest:
        return text
    end = (longest - 1) // 2
    return f"{text[: longest - 1 - end]}…{text[len(text) - end :]}"


def _visible(letter: str) -> str:
    if unicodedata.combining(letter):
        return f"◌{letter}"  # else it would sit on its neighbour
    return letter if letter.isprintable() else letter.encode("unicode_escape").decode()
