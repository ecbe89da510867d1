"""All experiments of a folder as one self-contained page."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from backcast.paper.claims import Claims
from backcast.paper.data_sets import DataSet, data_set_table
from backcast.paper.documents import Document, write_into
from backcast.paper.verdicts import counts
from backcast.report.writing import render

NAME = "report.html"


def write_page(
    documents: Sequence[Document],
    claims: Sequence[Claims],
    folder: Path,
    command: str,
    data_sets: Sequence[DataSet] = (),
    note: str | None = None,
) -> Path:
    """`report.html` in the folder; returns its path. Raises InputError where it cannot be written.

    command   that makes the page
    note      one more sentence above all numbers
    """
    page = render(
        "backcast.paper",
        "page.html.j2",
        title="Longer-term dependencies with auxiliary losses: the paper's experiments, and ours",
        warnings=list(dict.fromkeys(one.warning for one in documents)),
        note=note,
        data_sets=data_set_table(data_sets) if data_sets else None,
        documents=documents,
        claims=claims,
        counts=counts([verdict for one in documents for verdict in one.verdicts]),
        command=command,
        version=version("backcast"),
    )
    write_into(folder, NAME, page.encode())
    return folder / NAME
