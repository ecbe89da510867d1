"""A model card (README.md) in the form of the Hugging Face Hub, filled in from what is known about a run."""

from __future__ import annotations

import dataclasses
import html
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from backcast.config import Config, flag
from backcast.data.sequences import describe_kind
from backcast.errors import InputError, plural
from backcast.history import kept_epoch, read_metrics
from backcast.hub import PREFIX
from backcast.methods import METHODS

PAPER = (
    "Trinh, Dai, Luong, Le: Learning Longer-term Dependencies in RNNs with Auxiliary Losses. ICML 2018, "
    "arXiv:1803.00144"
)
CLASSIFY = """```python
from backcast import StreamSession, load, load_model

model = load_model(".")  # this folder, or "hf:owner/name"
probabilities = model.predict_proba(load("my-data.npz").train)
session = StreamSession(model)  # step by step
```"""
FINE_TUNE = """```
backcast train DATA --from THIS_FOLDER
```"""
NOT_SETTINGS = ("data", "data_dir", "unlabeled", "from_run", "method", "seed", "device", "checkpoint_minutes")


@dataclasses.dataclass(frozen=True)
class Accuracy:
    """The `share` of `rows` rows that were classified right, and `where` they are from; `rows` is None if not known.

    data  the name of their data set; None: that of the training rows
    """

    share: float
    rows: int | None
    where: str
    data: str | None = None

    def __str__(self) -> str:
        """With Wilson's 95 % interval where the number of rows is known."""
        if not self.rows:
            return f"{self.share:.4f} ({self.where})"
        z = 1.96
        middle = (self.share + z * z / (2 * self.rows)) / (1 + z * z / self.rows)
        spread = math.sqrt(self.share * (1 - self.share) / self.rows + (z / (2 * self.rows)) ** 2)
        half = z / (1 + z * z / self.rows) * spread
        return f"{self.share:.4f} (95 % of {middle - half:.4f} to {middle + half:.4f}; {self.rows:,} {plural(self.rows, 'row')}, {self.where})"


def measured(run: Path | None, config: Config, evaluation: str | Path | None) -> Accuracy | None:
    """The accuracy that `evaluate --json` wrote, else that on the rows which chose the run's epoch, else None.

    Raises InputError for what `evaluate` did not write.
    """
    if evaluation is not None:
        try:
            found = json.loads(Path(evaluation).read_text(encoding="utf-8"))
            data = without_path(str(found["data"]))
            return Accuracy(float(found["accuracy"]), int(found["rows"]), f"{data}, {found['split']}", data)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{evaluation}: is not what `backcast evaluate --json` writes: {str(error)[:150]}"
            ) from None
    if run is None or not (run / "metrics.jsonl").exists():
        return None
    best = kept_epoch(read_metrics(run / "metrics.jsonl"), config.class_weights)
    if best is None:
        return None
    try:
        rows = json.loads((run / "environment.json").read_text(encoding="utf-8"))["rows"]["validation"]
    except (OSError, ValueError, KeyError, TypeError):
        rows = None
    return Accuracy(
        best["validation_accuracy"], rows, "validation rows, which chose the epoch, so this flatters"
    )


def model_card(
    config: Config, description: Mapping[str, Any], accuracy: Accuracy | None, license: str | None
) -> str:
    """README.md of a model folder; `description` is its config.json."""
    method, preprocessing = METHODS[config.method], description["preprocessing"]
    name = without_path(config.data) if config.data else "data of one's own"
    reads = describe_kind(preprocessing["kind"], preprocessing["channels"])
    head: dict[str, Any] = {
        "library_name": "backcast",
        "license": license or "unknown",
        "tags": ["backcast", *(["sequence-classification"] if description["classes"] else []), config.method],
    }
    if accuracy is not None:
        metric = {"type": "accuracy", "value": round(accuracy.share, 4), "name": accuracy.where}
        task = {"type": "other", "name": "sequence classification"}
        data = accuracy.data or name
        result = {"task": task, "dataset": {"name": data, "type": data}, "metrics": [metric]}
        head["model-index"] = [{"name": f"{name}, {config.method}", "results": [result]}]
    settings = [
        f"| `{flag(name)}` | {value} |"
        for name, value in config.changed().items()
        if name not in NOT_SETTINGS
    ]
    # A line break would end the list, and a browser would take <b> for markup.
    classes = [html.escape(" ".join(str(one).split()), quote=False) for one in description["classes"]]
    shown = ", ".join(classes[:20]) + (f", … ({len(classes)} in all)" if len(classes) > 20 else "")
    what, knows, use = f"A pretrained network ({method.network}), which knows no classes yet", "", FINE_TUNE
    if classes:
        what, use = f"A classifier of whole sequences ({method.network})", CLASSIFY
        knows = f"- **Classes**: {shown}\n- **Accuracy**: {accuracy or 'not measured'}, one run, seed {config.seed}\n"
    return f"""---
{yaml.safe_dump(head, sort_keys=False, allow_unicode=True).strip()}
---

# {name}, {config.method}

{what}, trained with backcast: {method.description}.

- **Data**: {name if config.data else "not named"}; it reads {reads}
{knows}- **License**: {license or "not stated"}

## Use

{use}

Weights are safetensors, all else is JSON: nothing that is loaded can run code.

## Settings that differ from the defaults

{chr(10).join(["| setting | value |", "|---|---|", *settings]) if settings else "None."}

## Reference

{PAPER}
"""


def without_path(data: str) -> str:
    """DATA without its folder, which is nobody's business; names on the Hub and of built-in sets as they are."""
    return data if data.startswith(PREFIX) else Path(data).name
