"""The page itself: figures and tables put into `page.html.j2`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined

from backcast.data.sequences import Sequences, describe_elements
from backcast.errors import InputError
from backcast.files import write_atomically
from backcast.report import figures
from backcast.report.reconstructions import Recall, recall
from backcast.report.results import Group, Results, collect

EXAMPLES = 3
QUANTITIES = {
    "classification": "classification loss (training)",
    "validation_loss": "classification loss (validation)",
    "accuracy": "training accuracy",
    "validation_accuracy": "validation accuracy",
    "reconstruction": "reconstruction loss (training)",
    "prediction": "prediction loss (training)",
}


@dataclass(frozen=True)
class Memory:
    """What one group remembers, shown: an image, or rows of text for symbols."""

    name: str
    image: str | None
    texts: list[dict[str, Any]]
    caption: str


def write_report(
    runs: list[Path], out: Path, data_dir: str | None = None, say: Callable[[str], None] = lambda line: None
) -> None:
    """Measures the runs and writes one self-contained HTML file. Raises InputError, and then writes nothing."""
    if not out.absolute().parent.is_dir() or out.is_dir():
        raise InputError(f"--out {out}: there is no folder {out.absolute().parent} to write a file into")
    results = collect(runs, data_dir, say)
    environment = Environment(
        loader=PackageLoader("backcast.report", "."), autoescape=True, undefined=StrictUndefined
    )
    page = environment.get_template("page.html.j2").render(
        title=f"{results.groups[0].config.data}: what the network remembers",
        results=results,
        rows=_describe_rows(results),
        chance=_chance(results),
        accuracy_figure=figures.accuracy_figure(results),
        memory_figure=figures.memory_figure(results),
        memories=[memory for group in results.groups for memory in _memories(group, results)],
        curves=[
            image for name, label in QUANTITIES.items() if (image := figures.curve_figure(results, name, label)) is not None
        ],
        version=version("backcast"),
    )  # fmt: skip
    try:
        write_atomically(out, page.encode())
    except OSError as error:
        raise InputError(f"--out {out}: cannot be written: {error.strerror}") from None


def _memories(group: Group, results: Results) -> list[Memory]:
    """What the group's first run reconstructs and predicts of a few measured rows."""
    run = group.runs[0]
    if run.model.network.decoder is None and run.model.network.predictor is None:
        return []
    rows = results.measured
    longest = np.argsort(-rows.lengths, kind="stable")[:EXAMPLES]
    recalls = [recall(run.model, rows, int(row)) for row in longest]
    if run.model.preprocessing.symbols:
        texts = [text for found in recalls for text in _texts(found)]
        return [
            Memory(
                group.name,
                None,
                texts,
                "each line: the truth, and below it what the network says; errors are marked",
            )
        ]
    if run.model.picture is None:
        caption = (
            "black line: the anchor; left of it the reconstruction of the past, right of it the prediction"
        )
        return [Memory(group.name, figures.line_figure(found), [], caption) for found in recalls[:1]]
    shown = (
        "reconstructed from the state at the anchor"
        if recalls[0].past is not None
        else "predicted behind the anchor"
    )
    caption = f"{results.split} rows; {shown}, running free; blue: not asked"
    return [Memory(group.name, figures.picture_figure(recalls, run.model.picture, run), [], caption)]


def _texts(found: Recall) -> list[dict[str, Any]]:
    """Truth and answer as lists of (symbol, is it wrong) for the last anchor with an answer, 60 elements at most."""
    lines = []
    for kind, values in (("reconstructed", found.past), ("predicted", found.future)):
        if values is None:
            continue
        for anchor, answer in zip(found.anchors, values, strict=True):
            known = np.flatnonzero(~np.isnan(answer))[-60:]
            if len(known):
                truth, said = found.truth[known].astype(int), answer[known].astype(int)
                lines.append(
                    {
                        "title": f"{kind} from step {anchor}: {np.mean(truth == said):.0%} of these {len(known)} right",
                        "truth": " ".join(map(str, truth)),
                        "said": [(int(s), bool(s != t)) for s, t in zip(said, truth, strict=True)],
                    }
                )
    return lines


def _describe_rows(results: Results) -> list[str]:
    def line(name: str, rows: Sequences) -> str:
        low, high = int(rows.lengths.min()), int(rows.lengths.max())
        steps = f"{low:,}" if low == high else f"{low:,} to {high:,}"
        return f"{name}: {len(rows):,} rows of {steps} steps, {describe_elements(rows)}, {len(rows.classes)} classes"

    return [line("training data", results.train), line(f"measured on ({results.split})", results.measured)]


def _chance(results: Results) -> str:
    classes = len(results.groups[0].runs[0].model.classes)
    return f"{100 / classes:.1f}" if classes else "–"
