"""The files written for each experiment: NAME.md, NAME.csv and NAME.svg; for table 1, which has no runs, table1.md and .csv."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from backcast.output_files import write_or_refuse
from backcast.paper.captions import caption, rows_read, warning
from backcast.paper.csv_form import csv_text
from backcast.paper.data_sets import TITLE, DataSet, data_set_csv, data_set_table, paper_name
from backcast.paper.experiment import Experiment, Found
from backcast.paper.figures import experiment_figure, file_content
from backcast.paper.outcomes import outcomes
from backcast.paper.tables import Table, markdown, reasons, tables
from backcast.paper.verdicts import Verdict, verdicts


@dataclass(frozen=True)
class Document:
    """An experiment and its results in words, tables and a figure, before it is Markdown or a page.

    warning   the first sentence: what the scale is worth
    figure    an SVG, as data for an <img>
    reasons   why runs have no number
    csv       the file's text
    command   that computes the experiment again
    """

    experiment: Experiment
    warning: str
    caption: list[str]
    tables: list[Table]
    figure: str
    reasons: list[str]
    verdicts: list[Verdict]
    csv: str
    command: str


def document(experiment: Experiment, found: Found, command: str, note: str | None = None) -> Document:
    """Everything there is to say about an experiment. `note`: one more sentence for its caption."""
    results = outcomes(experiment, found)
    return Document(
        experiment,
        warning(experiment.scale, rows_read(results)),
        [*([note] if note else []), *caption(experiment, results)],
        tables(experiment, results),
        experiment_figure(experiment, results),
        reasons(results),
        verdicts(experiment, found),
        csv_text(experiment, results),
        command,
    )


def write_experiment(what: Document, folder: Path) -> None:
    """Writes NAME.md, NAME.csv and NAME.svg into the folder. Raises InputError where it cannot be written."""
    name = what.experiment.name
    write_into(folder, f"{name}.svg", file_content(what.figure))
    write_into(folder, f"{name}.csv", what.csv.encode())
    write_into(folder, f"{name}.md", _markdown(what).encode())


def write_data_sets(
    sets: Sequence[DataSet], folder: Path, command: str, scale: str, note: str | None = None
) -> None:
    """Writes table1.md and table1.csv into the folder. Raises InputError where it cannot be written."""
    write_into(folder, "table1.csv", data_set_csv(sets, scale).encode())
    words = warning(scale, [(paper_name(one), one.train_rows) for one in sets])
    table = markdown(data_set_table(sets))
    parts = [f"# {TITLE}", first_words([words], note), table, f"Made by `{command}`."]
    write_into(folder, "table1.md", ("\n\n".join(parts) + "\n").encode())


def write_into(folder: Path, name: str, content: bytes) -> None:
    """Writes a file into a folder that is there, atomically. Raises InputError."""
    write_or_refuse(folder / name, content, str(folder / name))


def first_words(warnings: Sequence[str], note: str | None) -> str:
    """What no number may be read without: each warning once, and the note."""
    return " ".join([*dict.fromkeys(f"**{one}**" for one in warnings), *([note] if note else [])])


def _markdown(what: Document) -> str:
    experiment = what.experiment
    parts = [
        f"# {experiment.title}",
        f"**{what.warning}** {' '.join(what.caption)}",
        f"Command: `{what.command}`",
        *map(markdown, what.tables),
    ]
    if what.reasons:
        parts.append("Without a number:\n\n" + "\n".join(f"- {reason}" for reason in what.reasons))
    parts.append(f"![{experiment.title}]({experiment.name}.svg)")
    if what.verdicts:
        title = "What this says of the paper" if not what.verdicts[0].claim.ours else "Answers"
        parts.append(f"## {title}\n\n" + "\n".join(map(_verdict_line, what.verdicts)))
    return "\n\n".join(parts) + "\n"


def _verdict_line(verdict: Verdict) -> str:
    reason = f": {verdict.reason}" if verdict.reason else ""
    theirs = "" if verdict.claim.ours else f"; the paper: {verdict.theirs}"
    return f"- {verdict.claim.text}: **{verdict.said}**{reason}. Ours: {verdict.ours}{theirs}."
