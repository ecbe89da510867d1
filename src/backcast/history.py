"""Reading `metrics.jsonl`: what happened in a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from backcast.errors import InputError


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The lines about whole epochs, in order; those of every 50th step are left out.

    Each has `phase`, `epoch` (from 1, within the phase), `step` (from 1, over all phases), `learning_rate`,
    `seconds` of training so far, a mean for every objective of the phase, and where it classifies `accuracy`,
    `validation_accuracy` and `validation_loss`. Raises InputError.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")[:-1]  # a line without its end was being written
        entries = [json.loads(line) for line in lines if line]
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise InputError(f"{path}: is damaged: {error}") from None
    return [entry for entry in entries if entry.get("event") == "epoch"]
