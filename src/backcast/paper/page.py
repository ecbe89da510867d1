"""All experiments of a folder as one self-contained page."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from backcast.paper.captions import warning
from backcast.paper.data_sets import DataSet, data_set_table
from backcast.paper.documents import Document, document, write_into
from backcast.paper.experiment import Experiment, Found

NAME = "report.html"


def write_page(
    experiments: Sequence[Experiment],
    found: Found,
    folder: Path,
    command: str,
    commands: dict[str, str] | None = None,
    data_sets: Sequence[DataSet] = (),
) -> Path:
    """`report.html` in the folder; returns its path. Raises InputError where it cannot be written.

    command   that makes the page, and an experiment again unless `commands` has another under its name
    """
    documents = [document(one, found, (commands or {}).get(one.name, command)) for one in experiments]
    environment = Environment(
        loader=PackageLoader("backcast.paper", "."), autoescape=True, undefined=StrictUndefined
    )
    page = environment.get_template("page.html.j2").render(
        title="Longer-term dependencies with auxiliary losses: the paper's experiments, and ours",
        warnings=list(dict.fromkeys(warning(one.scale) for one in experiments)),
        data_sets=data_set_table(data_sets) if data_sets else None,
        documents=documents,
        counts=_counts(documents),
        command=command,
        version=version("backcast"),
    )
    write_into(folder, NAME, page.encode())
    return folder / NAME


def _counts(documents: list[Document]) -> str:
    """ "3 agree, 1 disagrees, …" as a sentence over all claims."""
    answers = [verdict.answer for one in documents for verdict in one.verdicts]
    if not answers:
        return "None of these experiments is about a claim."
    agree, disagree = answers.count("agrees"), answers.count("disagrees")
    return (
        f"Of {len(answers)} claims of the paper our runs agree with {agree}, disagree with {disagree}, "
        f"and leave {len(answers) - agree - disagree} undecided."
    )
