"""Training in memory, and what is kept of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import safetensors.torch
from numpy.typing import NDArray

from backcast import inference, process
from backcast.build import build_network, build_trainer, choose_device
from backcast.checkpoint import storable
from backcast.config import Config
from backcast.data.describe import unknown_symbols
from backcast.data.preprocessing import Preprocessing
from backcast.data.sequences import Sequences
from backcast.errors import InputError
from backcast.methods import METHODS
from backcast.nn.model import Model
from backcast.trainer import Interrupted, Recorder

SHAPE = ("hidden_size", "embedding_size", "decoder_hidden_size", "decoder_layers", "feedforward_size")
"""Settings on which the shapes of the weights depend."""
NOT_MEASURED = ("event", "phase", "epoch", "step", "learning_rate", "seconds")


@dataclass(frozen=True, eq=False)
class FittedNetwork:
    """A trained network with all that is needed to use it. Pickled as weights and settings, without torch's classes.

    outputs  the classifier's outputs: classes, 1 for a regression, 0 where only phase 1 was trained
    """

    network: Model
    preprocessing: Preprocessing
    config: Config
    outputs: int

    def logits(self, rows: Sequences, device: str) -> NDArray[np.float64]:
        """The classifier's outputs, (n, outputs)."""
        target = choose_device(device)
        found = inference.logits(self.network.to(target), self.preprocessing, rows, device=target)
        return found.double().numpy()

    def features(self, rows: Sequences, device: str) -> NDArray[np.float32]:
        """The network's output at the end of each row, (n, hidden_size)."""
        target = choose_device(device)
        return inference.features(self.network.to(target), self.preprocessing, rows, device=target).numpy()

    def __reduce__(self) -> Any:
        saved = safetensors.torch.save(storable(self.network.state_dict()))
        return restored, (saved, self.preprocessing.to_json(), self.config.to_dict(), self.outputs)


def restored(
    weights: bytes, preprocessing: dict[str, Any], config: dict[str, Any], outputs: int
) -> FittedNetwork:
    """Puts together what `FittedNetwork.__reduce__` took apart."""
    settings, reads = Config(**config), Preprocessing.from_json(preprocessing)
    network = build_network(settings, reads, outputs)
    network.load_state_dict(safetensors.torch.load(weights))
    return FittedNetwork(network.eval(), reads, settings, outputs)


class Watch(Recorder):
    """Training watched in memory: keeps the epochs' metrics, reports them, and says when training is over.

    patience  epochs without a better one after which it is over; None: never
    """

    def __init__(self, say: Callable[[str], None], patience: int | None) -> None:
        self.say, self.patience = say, patience
        self.epochs: list[dict[str, Any]] = []
        self.over = False

    def metrics(self, entry: dict[str, Any]) -> None:
        if entry["event"] != "epoch":
            return
        self.epochs.append(entry)
        measured = ", ".join(
            f"{name} {value:.4f}" for name, value in entry.items() if name not in NOT_MEASURED
        )
        self.say(f"{entry['phase']} epoch {entry['epoch']}: {measured} ({entry['seconds']:.1f} s)")
        judged = [
            (one.get("validation_accuracy", 0.0), -one["validation_loss"])
            for one in self.epochs
            if "validation_loss" in one
        ]
        if self.patience is not None and judged:  # the trainer keeps the first of the best, too
            self.over = len(judged) - 1 - judged.index(max(judged)) >= self.patience


def learn(
    config: Config,
    rows: Sequences,
    validation: Sequences | None = None,
    *,
    outputs: int,
    start: FittedNetwork | None = None,
    watch: Watch,
) -> FittedNetwork:
    """Trains on `rows`, whose labels or targets are set; `validation` rows choose the epoch.

    start  the result of phase 1, if done already: its weights and preprocessing are used; `config` leaves its epochs out

    Raises InputError for rows and settings that do not fit, RunError where the loss is not finite.
    """
    device = choose_device(config.device)
    if start is not None:
        _require_same_network(start.config, config)
        _require_known(start.preprocessing, rows)
    preprocessing = Preprocessing.fit(rows) if start is None else start.preprocessing
    network = build_network(config, preprocessing, outputs)
    if start is not None:
        own, given = network.state_dict(), start.network.state_dict()
        network.load_state_dict({name: given.get(name, value) for name, value in own.items()})
    fitted = FittedNetwork(network, preprocessing, config, outputs)
    if validation is not None:
        _require_known(preprocessing, validation)
    trainer = build_trainer(config, network, preprocessing, rows, validation, device)
    with process.flushed_denormals():
        try:
            trainer.fit(watch, lambda: watch.over)
        except Interrupted:
            network.load_state_dict(trainer.best)
    network.eval()
    return fitted


def _require_known(preprocessing: Preprocessing, rows: Sequences) -> None:
    """Raises InputError where `rows` are not what the network reads, or hold no symbol that it knows."""
    preprocessing.check(rows)
    unknown_symbols(preprocessing, rows)


def _require_same_network(before: Config, now: Config) -> None:
    if METHODS[before.method].network != METHODS[now.method].network:
        raise InputError(
            f"pretrain() was with method={before.method!r}, now it is {now.method!r}, whose main network is of another kind; "
            "set it back, or call pretrain() anew"
        )
    for name in SHAPE:
        if getattr(before, name) != getattr(now, name):
            raise InputError(
                f"pretrain() was with {name}={getattr(before, name)}, now it is {getattr(now, name)}; set it back, "
                "or call pretrain() anew"
            )
