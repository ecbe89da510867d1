"""Puts the documents of results/ into docs/results.md, so that no number there is copied by hand.

    make results             # the documents, then this
    python docs/fill_results.py

Between `<!-- results/small/NAME.md -->` and `<!-- end -->` stands that file, its headings two levels lower.
"""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "results.md"
BLOCK = re.compile(r"(<!-- (results/[\w./-]+\.md) -->\n).*?(<!-- end -->)", re.DOTALL)


def filled(page: str) -> str:
    """The page with the current documents in its blocks."""
    return BLOCK.sub(lambda found: f"{found[1]}\n{_document(ROOT / found[2])}\n{found[3]}", page)


def _document(path: Path) -> str:
    text = re.sub(r"^#", "###", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    folder = path.parent.relative_to(ROOT)
    return re.sub(r"\]\(([\w.-]+)\)", rf"](../{folder}/\1)", text)


if __name__ == "__main__":
    if not BLOCK.search(PAGE.read_text(encoding="utf-8")):
        raise SystemExit(f"{PAGE}: has no block to fill")
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
