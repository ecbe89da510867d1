"""The page itself: figures and tables put into `page.html.j2`."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np

from backcast.report import figures
from backcast.report.collect import collect
from backcast.report.confusion import confusion_figure
from backcast.report.interactive.chosen import require_states
from backcast.report.interactive.page import interactive_page
from backcast.report.memory import MOST_ERROR
from backcast.report.reconstructions import Recall, recall, right
from backcast.report.results import Group, Results, RunResult, describe_rows
from backcast.report.symbols import legend, symbol_names
from backcast.report.writing import check_place, command, render, write_page

EXAMPLES, CHANNELS = 3, 3
QUANTITIES = {
    "classification": "classification loss (training)",
    "validation_loss": "classification loss (validation)",
    "accuracy": "training accuracy, %",
    "validation_accuracy": "validation accuracy, %",
    "validation_balanced_accuracy": "validation balanced accuracy, %",
    "reconstruction": "reconstruction loss (training)",
    "prediction": "prediction loss (training)",
    "language_model": "language model loss (training)",
    "autoencoder": "autoencoder loss (training)",
}


@dataclass(frozen=True)
class Text:
    """Symbols: what is true and what the network said, side by side as (truth, said, is it right?)."""

    title: str
    pairs: list[tuple[str, str, bool]]


@dataclass(frozen=True)
class Memory:
    """What one group remembers, as images, or as text for symbols; `letters`: without gaps between symbols."""

    name: str
    images: list[str]
    texts: list[Text]
    caption: str
    letters: bool = False


def write_report(
    runs: list[Path],
    out: Path,
    data_dir: str | None = None,
    say: Callable[[str], None] = lambda line: None,
    interactive: Path | None = None,
) -> None:
    """Measures the runs and writes one self-contained HTML file. Raises InputError, and then writes nothing.

    interactive  where to write the interactive page, too, in the same folder: the report links to it
    """
    check_place(runs, out)
    if interactive is not None:
        require_states(runs)
    results = collect(runs, data_dir, say)
    page = render(
        "backcast.report", "page.html.j2",
        title=f"{results.groups[0].config.data}: what the network remembers",
        results=results,
        rows=describe_rows(results),
        interactive=None if interactive is None else interactive.name,
        chance=_chance(results),
        commands={run.path: _began_with(run) for group in results.groups for run in group.runs},
        accuracy_figure=figures.accuracy_figure(results),
        confusions=[(group, image) for group in results.groups if (image := confusion_figure(group)) is not None],
        most_error=MOST_ERROR,
        memory_figure=figures.memory_figure(results),
        memories=[memory for group in results.groups for memory in _memories(group, results)],
        curves=_curves(results),
        command=command(runs, out, data_dir),
        version=version("backcast"),
    )  # fmt: skip
    if interactive is not None:
        write_page(
            interactive, interactive_page(results, command(runs, interactive, data_dir, "--interactive"))
        )
    write_page(out, page)


def _memories(group: Group, results: Results) -> list[Memory]:
    """What the group's first run reconstructs and predicts of a few measured rows."""
    run = group.runs[0]
    if run.model.network.decoder is None and run.model.network.predictor is None:
        return []
    rows = run.measured
    symbols, picture = run.model.preprocessing.symbols, run.model.picture
    count = 1 if symbols or picture is None else EXAMPLES
    longest = np.argsort(-rows.lengths, kind="stable")[:count]
    if picture is not None and (rows.lengths[longest] != picture.height * picture.width).any():
        picture, longest = None, longest[:1]  # cut by --max-length
    recalls = [recall(run.model, rows, int(row)) for row in longest]
    if symbols:
        preprocessing = run.model.preprocessing
        names = symbol_names(preprocessing.vocabulary, preprocessing.kind)
        texts = [text for found in recalls for text in _texts(found, names)]
        signs = legend([word for text in texts for pair in text.pairs for word in pair[:2]])
        caption = f"above the truth, below it what the network says; errors are marked{signs and '; '}{signs}"
        if preprocessing.kind == "bytes":
            caption += "; bytes that are no printable ASCII in hexadecimal"
        return [Memory(group.name, [], texts, caption, letters=preprocessing.kind == "characters")]
    if picture is None:
        channels = rows.channel_names[:CHANNELS]
        caption = (
            "the black line is the anchor; left of it the reconstruction, right of it the prediction, where the "
            "method has them"
        )
        if len(channels) < rows.channels:
            caption += f"; the first {len(channels)} of {rows.channels} channels are drawn"
        return [Memory(group.name, [figures.line_figure(found, channels) for found in recalls], [], caption)]
    memories = []
    for name, answers in (
        ("reconstructed from the state at each anchor", [found.past for found in recalls]),
        ("predicted behind each anchor", [found.future for found in recalls]),
    ):
        shown = [answer for answer in answers if answer is not None]
        if shown and not np.isnan(shown[0]).all():
            image = figures.picture_figure(recalls, shown, picture, run)
            caption = f"{results.split} rows, {name}; hatched: not asked, or given"
            memories.append(Memory(group.name, [image], [], caption))
    return memories


def _curves(results: Results) -> list[str]:
    """One figure per quantity that was measured; balanced accuracy only where it chose an epoch."""
    wanted = dict(QUANTITIES)
    if all(run.chosen_by == "validation_accuracy" for group in results.groups for run in group.runs):
        del wanted["validation_balanced_accuracy"]
    images = [figures.curve_figure(results, name, label) for name, label in wanted.items()]
    return [image for image in images if image is not None]


def _texts(found: Recall, names: list[str]) -> list[Text]:
    """Truth and answers, at most the last 60 elements of each answer; the last of `names` is the unknown symbol."""
    texts = []
    for kind, answers in (("reconstructed", found.past), ("predicted", found.future)):
        for anchor, answer in zip(
            found.anchors, () if answers is None else answers, strict=answers is not None
        ):
            known = np.flatnonzero(~np.isnan(answer))[-60:]
            if len(known):
                truth, said = found.truth[known].astype(int), answer[known].astype(int)
                judged = right(truth, said, unknown=len(names) - 1).tolist()
                pairs = [(names[a], names[b], good) for a, b, good in zip(truth, said, judged, strict=True)]
                texts.append(
                    Text(f"{kind} from step {anchor}: {sum(judged)} of these {len(known)} right", pairs)
                )
    return texts


def _began_with(run: RunResult) -> str:
    """The command that trained the run, according to its folder."""
    words = run.environment.get("command") or []
    if not words:
        return "not known"
    program = Path(words[0])
    if program.stem != "backcast" and program.parts[-2:] != ("backcast", "__main__.py"):
        return "from Python"
    return shlex.join(["backcast", *words[1:]])


def _chance(results: Results) -> str:
    """A guess's accuracy (and balanced accuracy), and the accuracy of always naming the commonest class; percent."""
    classes = len(results.groups[0].runs[0].model.classes)
    counts = results.measured.class_counts()
    if not any(group.scores for group in results.groups) or not counts.sum():
        return ""
    commonest = 100 * counts.max() / counts.sum()
    return (
        f"Chance is {100 / classes:.2f} %, of the balanced accuracy, too; "
        f"always naming the commonest class gives an accuracy of {commonest:.2f} %."
    )
