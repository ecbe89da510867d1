"""All claims with their answers: claims.md, and a figure of the paper's and one of ours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from backcast.paper.claims_figure import claims_figure
from backcast.paper.documents import Document, first_words, write_into
from backcast.paper.experiment import Experiment
from backcast.paper.figures import file_content
from backcast.paper.verdicts import Verdict, counts

TITLE = "What our runs say of the paper's claims"
PARTS = ((False, "The paper's claims", "claims"), (True, "Our own questions", "questions"))


@dataclass(frozen=True)
class Claims:
    """The paper's claims, or our own questions, with their answers.

    name     of the figure's file
    groups   an experiment and its verdicts, without those that have none
    figure   an SVG, as data for an <img>; None where nothing was compared
    """

    title: str
    name: str
    groups: list[tuple[Experiment, list[Verdict]]]
    figure: str | None

    @property
    def alt(self) -> str:
        """The figure in words."""
        return f"{self.title}: our differences with their intervals, the paper's beside them"


def all_claims(documents: Sequence[Document]) -> list[Claims]:
    """The paper's claims, then our questions; without one of the two where there are none."""
    found = []
    for ours, title, name in PARTS:
        answered = [
            (one.experiment, [verdict for verdict in one.verdicts if verdict.claim.ours == ours])
            for one in documents
        ]
        groups = [(experiment, verdicts) for experiment, verdicts in answered if verdicts]
        if groups:
            warnings = " ".join(dict.fromkeys(one.warning for one in documents))
            found.append(Claims(title, name, groups, claims_figure(groups, warnings)))
    return found


def write_claims(
    claims: Sequence[Claims], warnings: Sequence[str], folder: Path, command: str, note: str | None = None
) -> None:
    """Writes claims.md, claims.svg and questions.svg into the folder: every claim with its answer. Raises InputError."""
    every = [verdict for part in claims for _, verdicts in part.groups for verdict in verdicts]
    parts = [f"# {TITLE}", first_words(warnings, note), counts(every)]
    for part in claims:
        parts.append(f"## {part.title}")
        if part.figure:
            write_into(folder, f"{part.name}.svg", file_content(part.figure))
            parts.append(f"![{part.alt}]({part.name}.svg)")
        lines = ["| | the paper | ours | |", "|---|---:|---:|---|"]
        for experiment, answered in part.groups:
            lines.append(f"| **[{experiment.title}]({experiment.name}.md)** | | | |")
            for verdict in answered:
                text = verdict.claim.text.replace("|", "\\|")
                lines.append(f"| {text} | {verdict.theirs} | {verdict.ours} | {verdict.said} |")
        parts.append("\n".join(lines))
    write_into(folder, "claims.md", ("\n\n".join([*parts, f"Made by `{command}`."]) + "\n").encode())
