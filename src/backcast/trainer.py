"""The trainer: phase after phase, epoch after epoch, resumable at any step.

Its whole state is a `Checkpoint`. All randomness is keyed by epoch, row and step, so there is no generator to
save, and a run that was killed and resumed computes the same bits as one that was not.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from backcast.checkpoint import Checkpoint
from backcast.config import Config
from backcast.data.batching import epoch_batches
from backcast.data.preprocessing import Preprocessing
from backcast.data.sequences import Sequences
from backcast.errors import RunError
from backcast.history import chosen_by
from backcast.inference import ROWS_AT_ONCE, evaluate, squared_error
from backcast.nn.model import Model
from backcast.objectives import Draw, Term, losses
from backcast.phases import Phase

LOG_EVERY = 50  # steps between two lines of metrics within an epoch


class Recorder:
    """Where a run leaves its traces: nowhere; a subclass keeps what it wants."""

    def metrics(self, entry: dict[str, Any]) -> None:
        """One line of metrics: `event` is "step" or "epoch"."""

    def checkpoint(self, checkpoint: Checkpoint) -> None:
        """All that is needed to go on from here."""

    def weights(self, weights: dict[str, Tensor]) -> None:
        """The weights that are the result so far."""

    def advance(self, description: str) -> None:
        """One more training step is done."""


class Interrupted(Exception):
    """Asked to stop; a checkpoint has been written."""


@dataclass
class Position:
    """Where the run is: the next step is batch `batch` of epoch `epoch` of phase `phase`."""

    phase: int = 0
    epoch: int = 0
    batch: int = 0
    step: int = 0  # over all phases
    epochs_before: int = 0  # in earlier phases
    seconds: float = 0.0
    best_accuracy: float = -1.0
    best_loss: float = math.inf
    sums: dict[str, float] = field(default_factory=dict)  # of the epoch so far
    finished: bool = False


class Trainer:
    """Trains `model` on `train` rows; chooses the epoch by `validation` rows, or takes the last one."""

    def __init__(
        self,
        model: Model,
        preprocessing: Preprocessing,
        train: Sequences,
        validation: Sequences | None,
        phases: list[Phase],
        config: Config,
        device: torch.device,
        measure: Callable[[int], dict[str, float]] = lambda epoch: {},
    ) -> None:
        """`measure`: what else to note after each epoch that classifies; it decides nothing.

        It is told the epoch, from 1 in its phase.
        """
        self.measure = measure
        self.model = model.to(device)
        self.preprocessing = preprocessing
        self.train = train
        self.validation = validation
        self.phases = phases
        self.config = config
        self.device = device
        self.position = Position()
        self.best: dict[str, Tensor] = {}
        self.optimizer = self._new_optimizer()
        self._saved_at = time.monotonic()

    def rows_of(self, phase: Phase) -> NDArray[np.int64]:
        """The rows that teach something in `phase`: all, or those with a label."""
        return np.flatnonzero(self.train.labelled) if phase.only_supervised else np.arange(len(self.train))

    @property
    def total_steps(self) -> int:
        return sum(
            phase.epochs * math.ceil(len(self.rows_of(phase)) / self.config.batch_size)
            for phase in self.phases
        )

    def fit(self, recorder: Recorder, stop: Callable[[], bool] = lambda: False) -> None:
        """Trains to the end from wherever `position` is; the result is in `model`.

        Raises RunError for a loss or gradient that is not finite, Interrupted when `stop` says so.
        """
        self.model.train()
        while self.position.phase < len(self.phases):
            phase = self.phases[self.position.phase]
            while self.position.epoch < phase.epochs:
                self._run_epoch(phase, recorder, stop)
            self.position.phase += 1
            self.position.epochs_before += phase.epochs
            self.position.epoch = 0
            self.optimizer = self._new_optimizer()
        if not self.position.finished:
            self.position.finished = True
            recorder.weights(self.best or self.model.state_dict())
            recorder.checkpoint(self.state())
        if self.best:
            self.model.load_state_dict(self.best)

    def step_terms(self, phase: Phase, rows: Any, draw: Draw) -> dict[str, Term]:
        """The losses of one batch, with a graph."""
        batch = self.preprocessing.batch(self.train, rows, self.device)
        with self._autocast():
            return losses(self.model, list(phase.objectives), batch, draw)

    def state(self) -> Checkpoint:
        """Everything that the rest of the run depends on."""
        tensors = {f"model.{name}": value for name, value in self.model.state_dict().items()}
        tensors |= {f"best.{name}": value for name, value in self.best.items()}
        for number, slots in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{number}.{slot}": torch.as_tensor(value) for slot, value in slots.items()}
        return Checkpoint(tensors, asdict(self.position))

    def restore(self, checkpoint: Checkpoint) -> None:
        """Continues from `checkpoint`, which must be of a run with the same settings and data."""
        known = {name: checkpoint.meta[name] for name in asdict(Position())}
        self.position = Position(**known)
        slots: dict[int, dict[str, Tensor]] = {}
        weights: dict[str, dict[str, Tensor]] = {"model": {}, "best": {}}
        for name, tensor in checkpoint.tensors.items():
            kind, rest = name.split(".", 1)
            if kind == "optimizer":
                number, slot = rest.split(".", 1)
                slots.setdefault(int(number), {})[slot] = tensor
            else:
                weights[kind][rest] = tensor
        self.model.load_state_dict(weights["model"])
        self.best = {name: tensor.to(self.device) for name, tensor in weights["best"].items()}
        self.optimizer = self._new_optimizer()
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": slots, "param_groups": groups})

    def skip_pretraining(self, steps: int, seconds: float) -> None:
        """Begins after the first phase, which another run has done: the model already has its weights."""
        self.position = Position(phase=1, step=steps, epochs_before=self.phases[0].epochs, seconds=seconds)

    def _run_epoch(self, phase: Phase, recorder: Recorder, stop: Callable[[], bool]) -> None:
        at = self.position
        epoch = at.epochs_before + at.epoch
        size, seed = self.config.batch_size, self.config.seed
        batches = epoch_batches(self.train.lengths, self.rows_of(phase), size, seed, epoch)
        for group in self.optimizer.param_groups:
            group["lr"] = phase.rate(at.epoch)
        while at.batch < len(batches):
            began = time.monotonic()
            self._update(self.step_terms(phase, batches[at.batch], Draw(seed, epoch, at.step)), phase)
            at.batch += 1
            at.step += 1
            at.seconds += time.monotonic() - began
            recorder.advance(f"{phase.name} epoch {at.epoch + 1}/{phase.epochs}")
            if at.batch == len(batches):
                break
            if at.step % LOG_EVERY == 0:
                recorder.metrics(self._entry("step", phase))
            due = time.monotonic() - self._saved_at >= 60 * self.config.checkpoint_minutes
            stopping = stop()
            if due or stopping:
                self._save(recorder)
            if stopping:
                raise Interrupted
        self._end_epoch(phase, recorder)
        if stop() and not (at.phase == len(self.phases) - 1 and at.epoch == phase.epochs):
            raise Interrupted

    def _update(self, terms: dict[str, Term], phase: Phase) -> None:
        """One step of the optimizer on the sum of the objectives' means."""
        means = [term.total / term.count for term in terms.values() if term.count]
        self.optimizer.zero_grad(set_to_none=True)
        if means:
            loss = torch.stack(means).sum()
            # A batch may have no part that needs a gradient: unlabelled rows of one step only.
            if loss.requires_grad:
                loss.backward()
            norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip_norm)
            self._require_finite(float(loss.detach()), float(norm), phase)
            self.optimizer.step()
        for name, term in terms.items():
            self._add(f"{name}.sum", float(term.total.detach()))
            self._add(f"{name}.count", term.count)
            if term.correct is not None:
                self._add(f"{name}.correct", term.correct)

    def _add(self, name: str, value: float) -> None:
        self.position.sums[name] = self.position.sums.get(name, 0.0) + value

    def _require_finite(self, loss: float, norm: float, phase: Phase) -> None:
        if math.isfinite(loss) and math.isfinite(norm):
            return
        what = f"the loss is {loss}" if not math.isfinite(loss) else f"the gradient's norm is {norm}"
        at = self.position
        raise RunError(
            f"{what} in phase {phase.name}, epoch {at.epoch + 1}, step {at.step + 1}. "
            "Start again with a lower learning rate"
        )

    def _end_epoch(self, phase: Phase, recorder: Recorder) -> None:
        at = self.position
        entry = self._entry("epoch", phase)
        if phase.supervised and self.validation is not None:
            began = time.monotonic()
            found, chosen, loss = self._judged(self.validation)
            at.seconds += time.monotonic() - began
            entry |= {**found, "seconds": at.seconds}
            if (chosen, -loss) > (at.best_accuracy, -at.best_loss):
                at.best_accuracy, at.best_loss = chosen, loss
                self.best = {name: value.detach().clone() for name, value in self.model.state_dict().items()}
        if phase.supervised:
            entry |= self.measure(at.epoch + 1)
        # The weights come first: whoever reads the metrics of the last epoch expects its weights to be there.
        recorder.weights(self.best or self.model.state_dict())
        recorder.metrics(entry)
        at.epoch, at.batch, at.sums = at.epoch + 1, 0, {}
        self._save(recorder)

    def _judged(self, rows: Sequences) -> tuple[dict[str, float], float, float]:
        """The model judged on `rows`: values for the metrics, what chooses the epoch, and the loss, which breaks ties.

        In a regression only the loss decides.
        """
        device, size = self.device, ROWS_AT_ONCE
        if not self.model.recurrent:  # attention's memory grows with the rows and the length
            size = min(size, self.config.batch_size)
        if rows.targets is not None:
            error = squared_error(self.model, self.preprocessing, rows, batch_size=size, device=device)
            return {"validation_loss": error}, 0.0, error
        found = evaluate(self.model, self.preprocessing, rows, batch_size=size, device=device)
        noted = {
            "validation_accuracy": found.accuracy,
            "validation_balanced_accuracy": found.balanced_accuracy,
            "validation_macro_f1": found.macro_f1,
            "validation_loss": found.loss,
        }
        return noted, noted[chosen_by(self.config.class_weights)], found.loss

    def _entry(self, event: str, phase: Phase) -> dict[str, Any]:
        """The means of the epoch so far."""
        at = self.position
        entry: dict[str, Any] = {
            "event": event,
            "phase": phase.name,
            "epoch": at.epoch + 1,
            "step": at.step,
            "learning_rate": phase.rate(at.epoch),
            "seconds": at.seconds,
        }
        for objective in phase.objectives:
            count = at.sums.get(f"{objective.name}.count", 0.0)
            if count:
                entry[objective.name] = at.sums[f"{objective.name}.sum"] / count
            if count and f"{objective.name}.correct" in at.sums:
                entry["accuracy"] = at.sums[f"{objective.name}.correct"] / count
        return entry

    def _save(self, recorder: Recorder) -> None:
        recorder.checkpoint(self.state())
        self._saved_at = time.monotonic()

    def _new_optimizer(self) -> torch.optim.Optimizer:
        """Each phase begins with a fresh one (not stated in the paper). RMSProp's epsilon is added outside the root."""
        parameters = self.model.parameters()
        if self.config.optimizer == "adam":
            return torch.optim.Adam(parameters, lr=1.0)
        return torch.optim.RMSprop(parameters, lr=1.0, alpha=0.9, eps=1e-10)

    def _autocast(self) -> Any:
        """For `--precision bf16`: bf16 in the networks, float32 in weights and losses."""
        if self.config.precision != "bf16":
            return nullcontext()
        # No cache: it would reuse casts made without a graph in the pass that needs one.
        return torch.autocast(self.device.type, dtype=torch.bfloat16, cache_enabled=False)
