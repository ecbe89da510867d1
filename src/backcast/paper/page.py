"""All experiments of a folder as one self-contained page."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from backcast.paper.captions import warning
from backcast.paper.data_sets import DataSet, data_set_table
from backcast.paper.documents import document, write_into
from backcast.paper.experiment import Experiment, Found
from backcast.paper.verdicts import counts
from backcast.report.writing import render

NAME = "report.html"


def write_page(
    experiments: Sequence[Experiment],
    found: Found,
    folder: Path,
    command: str,
    commands: dict[str, str] | None = None,
    data_sets: Sequence[DataSet] = (),
    note: str | None = None,
) -> Path:
    """`report.html` in the folder; returns its path. Raises InputError where it cannot be written.

    command   that makes the page, and an experiment again unless `commands` has another under its name
    """
    documents = [document(one, found, (commands or {}).get(one.name, command), note) for one in experiments]
    page = render(
        "backcast.paper",
        "page.html.j2",
        title="Longer-term dependencies with auxiliary losses: the paper's experiments, and ours",
        warnings=list(dict.fromkeys(warning(one.scale) for one in experiments)),
        data_sets=data_set_table(data_sets) if data_sets else None,
        documents=documents,
        counts=counts([verdict for one in documents for verdict in one.verdicts]),
        command=command,
        version=version("backcast"),
    )
    write_into(folder, NAME, page.encode())
    return folder / NAME
