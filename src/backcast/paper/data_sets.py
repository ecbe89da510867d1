"""Table 1: the data sets, ours beside the paper's. It describes data and needs no run."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from backcast.paper.published import DATA_SET, TABLE1
from backcast.paper.tables import Line, Table

TITLE = "Table 1: data sets"
IN_PLACE_OF_DOGS = "CIFAR-10 (figure 3)"
"""The name of the pictures that figure 3 reads where Stanford Dogs is not there."""


@dataclass(frozen=True)
class DataSet:
    """One data set as it was read.

    name         the paper's, then after a comma what sets it apart: "Stanford Dogs, 40 × 40"
    mean_length  steps of a training row
    """

    name: str
    mean_length: float
    classes: int
    train_rows: int
    test_rows: int


def data_set_table(sets: Sequence[DataSet]) -> Table:
    """One line per data set, with the paper's line above the first of those that share it."""
    lines: list[Line] = []
    told: set[str] = set()
    for one in sets:
        name = paper_name(one)
        paper = "Stanford Dogs" if name == IN_PLACE_OF_DOGS else name
        if (paper, DATA_SET[0]) in TABLE1 and paper not in told:
            told.add(paper)
            lines.append(Line(f"{paper} (paper)", (*_published(paper), "–"), paper=True))
        length = f"{one.mean_length:,.1f}".removesuffix(".0")
        cells = (length, f"{one.classes:,}", f"{one.train_rows:,}", f"{one.test_rows:,}")
        instead = ", in place of Stanford Dogs" * (name == IN_PLACE_OF_DOGS)
        lines.append(Line(one.name + instead, cells))
    return Table(
        "Ours beside the paper's",
        ("mean length", "classes", "training examples", "test examples"),
        tuple(lines),
    )


def data_set_csv(sets: Sequence[DataSet], scale: str) -> str:
    """One line per data set, unrounded, with the paper's numbers in columns of their own."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    ours = ("name", "mean_length", "classes", "train_rows", "test_rows")
    writer.writerow(["scale", *ours, *(f"paper_{name.replace(' ', '_')}" for name in DATA_SET)])
    for one in sets:
        theirs = [TABLE1.get((paper_name(one), column)) for column in DATA_SET]
        writer.writerow([scale, *(getattr(one, name) for name in ours), *(it and it.value for it in theirs)])
    return text.getvalue()


def read_data_sets(folder: Path, scale: str) -> list[DataSet]:
    """What `table1.csv` in the folder says of this scale; nothing where there is none, or it cannot be read."""
    try:
        lines = list(csv.DictReader(io.StringIO((folder / "table1.csv").read_text(encoding="utf-8"))))
        return [
            DataSet(
                line["name"],
                float(line["mean_length"]),
                int(line["classes"]),
                int(line["train_rows"]),
                int(line["test_rows"]),
            )
            for line in lines
            if line["scale"] == scale
        ]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def paper_name(one: DataSet) -> str:
    """The paper's name of the data set."""
    return one.name.split(",")[0]


def _published(name: str) -> tuple[str, ...]:
    """Length, classes, training examples; the length as a range where there are several."""
    shortest, longest, classes, rows = (TABLE1.get((name, column)) for column in DATA_SET)
    length = " – ".join(f"{one.value:,.0f}" for one in (shortest, longest) if one)
    return length, *(f"{one.value:,.0f}" if one else "–" for one in (classes, rows))
