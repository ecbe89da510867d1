"""Names of the user's, which may hold anything, as a reader can see them."""

from __future__ import annotations

import unicodedata


def visible(text: str) -> str:
    """The same text with what cannot be printed escaped, as \\x00; blanks stay, and accents have something to sit on."""
    shown = "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)
    return f"◌{shown}" if unicodedata.combining(text[:1] or " ") else shown


def shortened(text: str, longest: int) -> str:
    """Without its middle where it is long: names that begin alike often end differently."""
    if len(text) <= longest:
        return text
    end = (longest - 1) // 2
    return f"{text[: longest - 1 - end]}…{text[len(text) - end :]}"
