"""Settings to begin with, by rules of thumb; and what a training step with them takes, measured."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from backcast import process
from backcast.activations import activation_bytes
from backcast.build import build_network, build_trainer, choose_device
from backcast.config import Config, as_flag
from backcast.data.batching import epoch_batches
from backcast.data.preprocessing import Preprocessing, ends_missing
from backcast.data.sequences import Sequences
from backcast.data.splitting import split_validation
from backcast.errors import plural
from backcast.objectives import Draw, Term

TRUNCATION = 300  # the paper's
FULL_BPTT = 4_000  # steps up to which it is no slower than r-LSTM
UNBALANCED = 3  # largest class over smallest


@dataclass(frozen=True)
class Suggestion:
    """Settings, and a line of reasons for each."""

    settings: dict[str, Any]
    reasons: dict[str, str]


@dataclass(frozen=True)
class Measured:
    """One training step, forward and backward, on a real batch."""

    phase: str
    device: str
    rows: int
    steps: int  # of the longest row of the batch
    seconds: float
    kept_bytes: int  # for the backward pass
    bounded: bool  # longer rows would need no more
    steps_per_epoch: int


def suggest(rows: Sequences, given: Mapping[str, Any], others: Iterable[Sequences] = ()) -> Suggestion:
    """The settings that `train` needs besides `given`, with which the training rows were read.

    others  DATA's other parts: values that are missing there matter as well
    """
    longest, median = int(rows.lengths.max()), int(np.median(rows.lengths))
    settings: dict[str, Any] = {"truncation": TRUNCATION}
    if longest > TRUNCATION:
        why = f"the paper's; the longest row has {longest:,} steps, and memory grows with the truncation, not with the row"
    else:
        why = "the default; no row is longer, so every step carries the gradient"
    reasons = {"truncation": why}
    defaults = Config()
    anchors, most = defaults.anchors, defaults.segment_length
    settings |= {"anchors": anchors, "segment_length": min(most, max(1, median // 2))}
    reasons["anchors"] = f"the default: {anchors} segments a row, each from a place of its own"
    reasons["segment_length"] = (
        f"the default; the median row has {median:,} steps"
        if settings["segment_length"] == most
        else f"half of the median row of {median:,} {plural(median, 'step')}; the default is {most}"
    )
    _suggest_for_labels(rows, given, settings, reasons)
    incomplete = [part for part in (rows, *others) if part.missing is not None]
    if incomplete and not given.get("fill_missing"):
        settings["fill_missing"] = True
        reasons["fill_missing"] = "values are missing, which train refuses unless it may fill them"
        if all(map(ends_missing, incomplete)):
            reasons["fill_missing"] += (
                "; all stand at the ends of rows: if they only fill rows up, save `lengths` instead"
            )
    return Suggestion(settings, reasons)


def without_auxiliary(settings: Mapping[str, Any], rows: Sequences) -> dict[str, Any]:
    """The same for an LSTM that learns only from labels, for as many epochs as both phases have together.

    Below some 4,000 steps full BPTT is the faster of the two (docs/performance.md); there, nothing is truncated.
    """
    defaults = Config()
    left = {name: value for name, value in settings.items() if name not in ("anchors", "segment_length")}
    if rows.lengths.max() <= FULL_BPTT:
        left["truncation"] = None
    return {**left, "method": "lstm", "epochs": defaults.pretrain_epochs + defaults.epochs}


def _suggest_for_labels(
    rows: Sequences, given: Mapping[str, Any], settings: dict[str, Any], reasons: dict[str, str]
) -> None:
    if len(rows.classes) < 2:
        settings["epochs"] = 0
        why = "there are no labels" if not rows.classes else "there is only one class"
        reasons["epochs"] = f"{why}, so pretraining is all that can be done"
        return
    if (rows.labels < 0).any() and given.get("missing_label") is None:
        settings["missing_label"] = ""
        reasons["missing_label"] = (
            "rows without a label train the auxiliary loss only; train requires that to be said"
        )
    counts = rows.class_counts()
    counts = counts[counts > 0]
    if counts.max() > UNBALANCED * counts.min():
        settings["class_weights"] = "balanced"
        reasons["class_weights"] = (
            f"the largest class has {counts.max() / counts.min():.1f} times the rows of the smallest"
        )


def measure_step(
    config: Config, rows: Sequences, preprocessing: Preprocessing, has_validation: bool
) -> Measured:
    """Runs two steps of the last phase of `config` on batches of `rows`: one for the memory, one for the time.

    Memory is measured on a batch at least as long as the truncation, or the longest; time on one whose longest row
    is about as long as the batches' average.
    """
    rows = replace(rows, missing=None)  # read as the mean, which takes just as long
    device = choose_device(config.device)
    network = build_network(config, preprocessing, len(rows.classes) if config.epochs else 0)
    trainer = build_trainer(config, network, preprocessing, rows, None, device)
    phase = trainer.phases[-1]
    teaching = trainer.rows_of(phase)
    batches = epoch_batches(rows.lengths, teaching, config.batch_size, config.seed, 0)
    batches = [batch for batch in batches if len(batch) == config.batch_size] or batches
    lengths = np.array([int(rows.lengths[batch].max()) for batch in batches])
    usual = int(np.abs(lengths - lengths.mean()).argmin())
    truncation = config.truncation or int(lengths.max())
    enough = lengths >= truncation
    large = int(np.where(enough, lengths, lengths.max() + 1).argmin() if enough.any() else lengths.argmax())

    def forward(batch: int) -> dict[str, Term]:
        return trainer.step_terms(phase, batches[batch], Draw(config.seed, 0, 0))

    first: list[dict[str, Term]] = []
    with process.flushed_denormals():
        kept = activation_bytes(lambda: first.append(forward(large)), network.parameters())
        _backward(first.pop(), device)  # one-off costs are over now, and are not timed
        network.zero_grad(set_to_none=True)
        began = time.perf_counter()
        _backward(forward(usual), device)
        seconds = time.perf_counter() - began
    share = config.validation if config.epochs and not has_validation else 0.0
    held_out = split_validation(rows, share, config.seed)[1]
    left = len(teaching) - (0 if held_out is None else len(held_out))
    return Measured(
        phase=phase.name,
        device=device.type,
        rows=len(batches[usual]),
        steps=int(lengths[usual]),
        seconds=seconds,
        kept_bytes=kept,
        bounded=bool((lengths > truncation).any()),
        steps_per_epoch=-(-left // config.batch_size),
    )


def _backward(terms: dict[str, Term], device: torch.device) -> None:
    means = [term.total / term.count for term in terms.values() if term.count]
    if means and (loss := torch.stack(means).sum()).requires_grad:
        loss.backward()
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def train_command(data: str, settings: Mapping[str, Any]) -> str:
    """`backcast train DATA` with `settings`, to be pasted into a shell."""
    return " ".join(
        ["backcast train", shlex.quote(data), *(as_flag(*setting) for setting in settings.items())]
    )
