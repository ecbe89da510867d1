"""Docstrings as they are written here, for Sphinx: plain text with `code` and with lists of names.

Paragraphs stay paragraphs. A block of lines `name   what it is` becomes a definition list, an indented block a block of
code. So docstrings read well in an editor, and need no markup for the site.
"""

from __future__ import annotations

import re
import textwrap
from itertools import groupby
from typing import Any

NOT_CALLED = {"Batch", "Model", "Sequences", "Splits", "TrainedModel"}
"""What users are given and do not construct: their parts are described in words."""
ENTRY = re.compile(r"(\S.*?) {2,}(\S.*)")


def setup(app: Any) -> dict[str, bool]:
    app.connect("autodoc-process-docstring", _process)
    app.connect("autodoc-process-signature", _shorten)
    return {"parallel_read_safe": True}


def as_rest(docstring: list[str]) -> list[str]:
    """The lines of a docstring as reStructuredText."""
    found: list[str] = []
    for empty, group in groupby(docstring, key=lambda line: not line.strip()):
        if empty:
            continue
        block = list(group)
        if all(line.startswith("    ") for line in block):
            found += [f".. code-block:: {_language(block)}", "", *block]
        elif ENTRY.fullmatch(block[0]) and all(line[0] == " " or ENTRY.fullmatch(line) for line in block):
            found += _definitions(block)
        else:
            found.append(_marked(" ".join(line.strip() for line in block)))
        found.append("")
    return found


def _definitions(block: list[str]) -> list[str]:
    """Lines `name   text`, and indented lines that continue them."""
    entries: list[list[str]] = []
    for line in block:
        if (entry := ENTRY.fullmatch(line)) and line[0] != " ":
            entries.append([entry[1], entry[2]])
        else:
            entries[-1].append(line.strip())
    return [
        line
        for name, *text in entries
        for line in (f"``{name.replace('`', '')}``", f"    {_marked(' '.join(text))}", "")
    ]


def _marked(text: str) -> str:
    """`code` in double backticks; anything else that would be markup is escaped."""
    parts = text.split("`")
    for place, part in enumerate(parts):
        if place % 2:
            parts[place] = f"``{part}``"
        else:
            parts[place] = re.sub(r"([\\*|]|_(?!\w))", r"\\\1", part)
    return "".join(parts)


def _language(block: list[str]) -> str:
    try:
        compile(textwrap.dedent("\n".join(block)), "docstring", "exec")
    except SyntaxError:
        return "none"
    return "python"


def _process(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    lines[:] = as_rest(lines)


def _shorten(
    app: Any, what: str, name: str, obj: Any, options: Any, signature: str | None, returns: str | None
) -> tuple[str | None, str | None] | None:
    """Types by their names in the source; dozens of settings are left to the table of settings."""
    if what == "class" and name.split(".")[-1] in NOT_CALLED:
        return "", None
    if what == "class" and signature and signature.count("=") > 20:
        return "(**settings)", None
    return _plain(signature), _plain(returns)


def _plain(types: str | None) -> str | None:
    """Aliases in place of what they stand for."""
    if types is None:
        return None
    types = re.sub(r"TypeAliasForwardRef\('(\w+)'\)", r"\1", types)
    return re.sub(
        r"~?(?:numpy\.)?ndarray\[tuple\[[^]]*\], ~?(?:numpy\.)?dtype\[([^]]*)\]\]", r"NDArray[\1]", types
    )
