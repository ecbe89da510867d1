"""What a report is about: runs in groups that differ in nothing but the seed, each with what was measured of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backcast.build import TrainedModel
from backcast.config import Config, as_flag
from backcast.data.sequences import Sequences, describe_elements
from backcast.errors import plural
from backcast.history import chosen_by, has_classified, kept_epoch
from backcast.methods import METHODS
from backcast.metrics import Scores
from backcast.nn.size import parameters
from backcast.phases import phases
from backcast.report.memory import TRUSTED, MemoryCurve

IGNORED = ("seed", "data", "data_dir", "device", "checkpoint_minutes")


@dataclass(frozen=True)
class RunResult:
    """One run, measured on rows it was not trained on.

    `measured` differs from run to run where the data bring none with a label: each seed holds out its own rows.
    `scores` is None where the run classifies nothing, or was stopped before it learned to. `varying` (C,) says which
    channels vary in the rows it was trained on.
    """

    path: Path
    config: Config
    model: TrainedModel
    environment: dict[str, Any]
    epochs: list[dict[str, Any]]
    measured: Sequences
    scores: Scores | None
    memory: MemoryCurve
    varying: NDArray[np.bool_]

    @property
    def accuracy(self) -> float | None:
        """0 .. 1."""
        return None if self.scores is None else self.scores.accuracy

    @property
    def chosen_by(self) -> str:
        """The quantity in `epochs` whose highest value decides which epoch is kept."""
        return chosen_by(self.config.class_weights)

    @property
    def kept_epoch(self) -> dict[str, Any] | None:
        """The epoch whose weights the model has; None where no rows chose it."""
        return kept_epoch(self.epochs, self.config.class_weights)

    @property
    def rows(self) -> frozenset[Any]:
        """Tells the rows that it was scored on from those of other runs: their ids, or if some are alike their places.

        Where none has a label there is no score, and these are all rows.
        """
        labelled = self.measured.labels >= 0
        which = labelled if labelled.any() else np.ones_like(labelled)
        ids, starts = map(str, self.measured.ids[which]), self.measured.starts[which].tolist()
        return found if len(found := frozenset(ids)) == len(starts) else frozenset(starts)

    @property
    def classifies(self) -> bool:
        """Has it a classifier that was trained?"""
        return bool(self.model.classes) and has_classified(self.epochs)

    @property
    def epochs_run(self) -> list[int]:
        """Of each phase that it has. Where a later one has begun all were, be it in another run."""
        found, ended = [], False
        for phase in reversed(phases(self.config)):
            own = [entry["epoch"] for entry in self.epochs if entry["phase"] == phase.name]
            found.append(phase.epochs if ended else max(own, default=0))
            ended = ended or bool(own)
        return found[::-1]

    @property
    def parameters(self) -> int:
        return parameters(self.model.network)


@dataclass(frozen=True)
class Group:
    """Runs that differ only in their seed."""

    name: str
    runs: list[RunResult]

    @property
    def config(self) -> Config:
        return self.runs[0].config

    @property
    def scores(self) -> list[Scores]:
        """Of the runs that classify."""
        return [run.scores for run in self.runs if run.scores is not None]

    @property
    def accuracy(self) -> str:
        """Percent: mean, and standard deviation over seeds where there are several."""
        return _percent([scores.accuracy for scores in self.scores])

    @property
    def balanced_accuracy(self) -> str:
        return _percent([scores.balanced_accuracy for scores in self.scores])

    @property
    def macro_f1(self) -> str:
        return _percent([scores.macro_f1 for scores in self.scores])

    @property
    def confusion(self) -> NDArray[np.int64] | None:
        """Summed over the seeds; None where nothing is classified."""
        return np.sum([scores.confusion for scores in self.scores], axis=0) if self.scores else None

    @property
    def remembers(self) -> str:
        values = [run.memory.remembers_steps for run in self.runs]
        return (
            f"{np.mean(values):.0f}"
            if len(values) == 1
            else f"{np.mean(values):.0f} ({min(values)} – {max(values)})"
        )

    @property
    def seconds(self) -> float:
        return float(np.mean([run.epochs[-1]["seconds"] for run in self.runs]))

    @property
    def scale(self) -> str:
        """How much it was trained: rows, those of them with a label, and epochs."""
        counts = self.runs[0].environment.get("rows", {})
        rows, labelled = counts.get("train", 0), counts.get("labelled", counts.get("train", 0))
        unlabelled = f", {labelled:,} of them with a label" if labelled < rows and self.config.epochs else ""
        names = [phase.name for phase in phases(self.config)]
        epochs = " + ".join(" ".join(each) for each in zip(self._epochs, names, strict=True))
        stopped = any(run.epochs_run != self._planned for run in self.runs)
        how = ", stopped after" if stopped else ", for" if unlabelled else " for"
        return f"trained on {rows:,} rows{unlabelled}{how} {epochs} epochs"

    @property
    def epochs(self) -> str:
        """The epochs of each phase that it has: "20 + 100", or where it was stopped "20 + 7 of 100"."""
        return " + ".join(self._epochs)

    @property
    def _planned(self) -> list[int]:
        return [phase.epochs for phase in phases(self.config)]

    @property
    def _epochs(self) -> list[str]:
        """For each phase the epochs that were run, and where these are fewer than planned, how many were."""
        found = []
        done = zip(*(run.epochs_run for run in self.runs), strict=True)
        for planned, seeds in zip(self._planned, done, strict=True):
            least, most = min(seeds), max(seeds)
            count = f"{least}" if least == most else f"{least} – {most}"
            found.append(count if least == planned else f"{count} of {planned}")
        return found

    @property
    def truncation(self) -> str:
        """Steps that carry the supervised gradient; "–" where there is none to truncate."""
        if not self.config.epochs or not METHODS[self.config.method].recurrent:
            return "–"
        return "none" if self.config.truncation is None else str(self.config.truncation)

    @property
    def settings(self) -> str:
        """The settings that are not the defaults."""
        left_out = (*IGNORED, "method")
        return " ".join(as_flag(*each) for each in self.config.changed().items() if each[0] not in left_out)


@dataclass(frozen=True)
class Results:
    """All groups; the rows of the first run, those trained on (with all labels) and those measured.

    split     what the latter are called: test, validation or training
    of_class  what a readout of the class alone explains of them; None where no network knows classes
    """

    groups: list[Group]
    train: Sequences
    measured: Sequences
    split: str
    of_class: MemoryCurve | None

    @property
    def fixed(self) -> bool:
        """All runs were measured on the same rows."""
        return len({run.rows for group in self.groups for run in group.runs}) == 1

    @property
    def unlike(self) -> str:
        """Where groups were not measured on the same rows, on how many each was; else empty."""
        if len({frozenset(run.rows for run in group.runs) for group in self.groups}) == 1:
            return ""
        counts = []
        for group in self.groups:
            least, most = (count(len(run.rows) for run in group.runs) for count in (min, max))
            rows = f"{least:,}" if least == most else f"{least:,} – {most:,}"
            seeds = f", each of {len(group.runs)} seeds" if group.runs[1:] else ""
            counts.append(f"{group.name} on {rows} {plural(most, 'row')}{seeds}")
        return f"The groups were not measured on the same rows: {'; '.join(counts)}."

    @property
    def memory_rows(self) -> str:
        """How many rows the memory curves are measured on, and whether these are enough."""
        fewest = min(run.memory.rows for group in self.groups for run in group.runs)
        doubt = ", too few to trust" if fewest < TRUSTED else ""
        return f"measured on {fewest:,} {plural(fewest, 'row')}{doubt}"


def describe_rows(results: Results) -> list[str]:
    """One line about the rows trained on, and one about those measured."""

    def line(name: str, rows: Sequences) -> str:
        low, high = int(rows.lengths.min()), int(rows.lengths.max())
        steps = f"{low:,}" if low == high else f"{low:,} to {high:,}"
        labelled = rows.labels[rows.labels >= 0]
        present = len(np.unique(labelled))
        classes = "no labels" if not present else "1 class" if present == 1 else f"{present} classes"
        if 0 < len(labelled) < len(rows):
            classes += f" in the {len(labelled):,} {plural(len(labelled), 'row')} with a label"
        return f"{name}: {len(rows):,} {plural(len(rows), 'row')} of {steps} {plural(high, 'step')}, {describe_elements(rows)}, {classes}"

    return [line("training data", results.train), line(f"measured on ({results.split})", results.measured)]


def _percent(values: list[float]) -> str:
    """Shares as percent: mean, and standard deviation where there are several."""
    if not values:
        return "–"
    mean = f"{100 * np.mean(values):.2f}"
    return mean if len(values) == 1 else f"{mean} ±\N{NO-BREAK SPACE}{100 * np.std(values, ddof=1):.2f}"
