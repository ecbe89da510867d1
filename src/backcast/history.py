"""Reading `metrics.jsonl`: what happened in a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from backcast.errors import InputError


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The lines about whole epochs, in order; those of every 50th step are left out.

    Each has `phase`, `epoch` (from 1, within the phase), `step` (from 1, over all phases), `learning_rate`,
    `seconds` so far, validation included, a mean for every objective of the phase, `accuracy` where it classifies, and
    where rows are held out `validation_loss`, in a classification also `validation_accuracy`,
    `validation_balanced_accuracy` and `validation_macro_f1`. Raises InputError.
    """
    try:
        # A line without a newline was still being written.
        lines = path.read_text(encoding="utf-8").split("\n")[:-1]
        entries = [json.loads(line) for line in lines if line]
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise InputError(f"{path}: is damaged: {error}") from None
    for number, entry in enumerate(entries, start=1):
        if not isinstance(entry, dict):
            raise InputError(f"{path}: is damaged: entry {number} is no object")
        if entry.get("event") == "epoch" and (wrong := _wrong(entry)):
            raise InputError(f"{path}: is damaged: entry {number} has no {wrong}")
    return [entry for entry in entries if entry.get("event") == "epoch"]


def _wrong(entry: dict[str, Any]) -> str | None:
    """What an epoch lacks: something that each has, or a number where it has something else."""
    if not isinstance(entry.get("phase"), str):
        return "phase"
    judged = ("validation_loss",) if any(name.startswith("validation_") for name in entry) else ()
    names = ("epoch", "step", "seconds", *judged, *(set(entry) - {"event", "phase"}))
    return next((name for name in names if not isinstance(entry.get(name), (int, float))), None)


def has_classified(epochs: list[dict[str, Any]]) -> bool:
    """Has any epoch taught the classifier? None has where a run was only pretrained, or stopped before that."""
    return any(entry["phase"] != "pretraining" for entry in epochs)


def chosen_by(class_weights: str) -> str:
    """The quantity whose highest value decides which epoch a run keeps, by its `--class-weights`."""
    return "validation_balanced_accuracy" if class_weights == "balanced" else "validation_accuracy"


def kept_epoch(epochs: list[dict[str, Any]], class_weights: str) -> dict[str, Any] | None:
    """The epoch whose weights are the result, chosen as the trainer does; None where no rows chose it."""
    quantity = chosen_by(class_weights)
    judged = [entry for entry in epochs if quantity in entry]
    return max(judged, key=lambda entry: (entry[quantity], -entry["validation_loss"]), default=None)
