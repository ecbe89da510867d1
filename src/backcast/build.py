"""The one place where a configuration becomes objects, and a saved model becomes a network again."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from backcast import hub_models, inference
from backcast.checkpoint import storable
from backcast.config import Config
from backcast.data.preprocessing import Preprocessing
from backcast.data.sequences import Picture, Sequences, describe_kind, some
from backcast.errors import InputError
from backcast.files import write_atomically, write_json
from backcast.hub import PREFIX
from backcast.methods import METHODS, Network
from backcast.metrics import Scores
from backcast.model_card import measured, model_card, without_path
from backcast.nn.decoder import Decoder, Predictor
from backcast.nn.embedding import Embedding
from backcast.nn.feedforward import FeedForward
from backcast.nn.gru import EmbeddedGRU
from backcast.nn.initialise import initialise
from backcast.nn.irnn import EmbeddedIRNN
from backcast.nn.lstm import EmbeddedLSTM
from backcast.nn.model import Model
from backcast.nn.size import lstm_parameters, width_like
from backcast.nn.t_dmca import TDMCAEncoder
from backcast.nn.transformer import TransformerEncoder
from backcast.nn.urnn import EmbeddedURNN
from backcast.phases import phases
from backcast.trainer import Trainer

MODEL_FORMAT = "backcast model 2"
WEIGHTS, DESCRIPTION = "model.safetensors", "config.json"
HEADS = 4
ATTENTION: dict[Network, Callable[[Embedding], nn.Module]] = {
    "transformer": partial(TransformerEncoder, heads=HEADS),
    "t-dmca": partial(TDMCAEncoder, heads=HEADS),
}
RECURRENT: dict[Network, type[nn.Module]] = {
    "lstm": EmbeddedLSTM,
    "gru": EmbeddedGRU,
    "irnn": EmbeddedIRNN,
    "urnn": EmbeddedURNN,
}


@dataclass(frozen=True)
class TrainedModel:
    """A network with everything needed to use it: `RUN/model/` in memory.

    network        the network itself, in evaluation mode
    preprocessing  what is done to rows before the network reads them
    classes        the labels' names, in the order of the probabilities; empty for a run that was only pretrained
    config         the settings it was trained with
    picture        the height and width of the rows, where they are pictures
    device         where it computes
    run            the run's folder, where there is one: a model card takes from it what it says about the training
    """

    network: Model
    preprocessing: Preprocessing
    classes: tuple[Any, ...]
    config: Config
    picture: Picture | None
    device: torch.device
    run: Path | None = None

    def __repr__(self) -> str:
        reads = describe_kind(self.preprocessing.kind, self.preprocessing.channels)
        knows = f"classes {some(self.classes)}" if self.classes else "no classes"
        return f"TrainedModel({self.config.method}, reads {reads}, {knows})"

    @staticmethod
    def from_pretrained(source: str | Path, device: str = "cpu") -> TrainedModel:
        """`load_model`, under the name that other libraries use."""
        return load_model(source, device)

    def save_pretrained(
        self, folder: str | Path, *, license: str | None = None, evaluation: str | Path | None = None
    ) -> None:
        """Writes a folder to publish, which `load_model` reads: weights (safetensors), config.json and a model card.

        license     of the model, as the Hub calls licences (`mit`, `cc-by-4.0`)
        evaluation  what `backcast evaluate --json FILE` wrote, for the card; else that gives the validation accuracy

        Paths of this machine are left out. Raises InputError for a folder that is not empty, for a network that `config`
        does not describe, and for an `evaluation` that is not one; OSError.
        """
        self._require_described()
        folder = Path(folder)
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise InputError(f"{folder}: there is something in its place; say a new or an empty folder")
        data = None if self.config.data is None else without_path(self.config.data)
        config = replace(self.config, data=data, data_dir=None, unlabeled=None, from_run=None)
        description = describe_model(config, self.preprocessing, self.classes, self.picture)
        card = model_card(config, description, measured(self.run, config, evaluation), license)
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / WEIGHTS, weights_file(self.network.state_dict()))
        write_json(folder / DESCRIPTION, description)
        write_atomically(folder / "README.md", card.encode())

    def _require_described(self) -> None:
        """Raises InputError for a network of somebody's own parts: `load_model` builds what `config` describes."""
        described = build_network(self.config, self.preprocessing, len(self.classes))
        wanted, own = (
            {name: tuple(part.shape) for name, part in network.state_dict().items()}
            for network in (described, self.network)
        )
        for name in sorted(wanted.keys() | own.keys()):
            if wanted.get(name) != own.get(name):
                raise InputError(
                    f"this network is not what its config describes, so load_model could not read it: its {name} is "
                    f"{own.get(name, 'missing')}, the config's is {wanted.get(name, 'missing')}; give it the config it was "
                    "built with, or save its state_dict() yourself"
                )

    def push_to_hub(
        self,
        repository: str,
        *,
        private: bool = False,
        license: str | None = None,
        evaluation: str | Path | None = None,
    ) -> str:
        """Uploads what `save_pretrained` writes to `owner/name` on the Hugging Face Hub, created if it does not exist.

        Returns the address of the commit. Raises InputError where the Hub refuses, or cannot be reached.
        """

        def write(folder: Path) -> None:
            self.save_pretrained(folder, license=license, evaluation=evaluation)

        return hub_models.upload(write, repository, private)

    def prepare(self, rows: Sequences) -> Sequences:
        """`rows` with labels that point into the model's classes. Raises InputError where they do not fit."""
        if not self.classes:
            raise InputError(
                "this run has only been pretrained, so it knows no classes; fine-tune it: train DATA --from RUN"
            )
        self.preprocessing.check(require_rows(rows))
        return rows.relabel(self.classes) if rows.classes else rows

    def predict_proba(self, rows: Sequences, batch_size: int = 256) -> NDArray[np.float32]:
        """The probability of every class for every row, (n, classes), rows in order. Raises InputError."""
        rows = self.prepare(require_rows(rows).without_labels())
        scores = inference.logits(
            self.network, self.preprocessing, rows, batch_size=batch_size, device=self.device
        )
        return scores.softmax(dim=1).numpy()

    def predict(self, rows: Sequences, batch_size: int = 256) -> list[Any]:
        """The likeliest class of every row, by the name its labels had, rows in order. Raises InputError."""
        return [self.classes[number] for number in self.predict_proba(rows, batch_size).argmax(axis=1)]

    def evaluate(self, rows: Sequences, batch_size: int = 256) -> Scores:
        """Accuracy, balanced accuracy, macro-F1, loss and confusion over the labelled rows.

        Raises InputError where there are none.
        """
        rows = self.prepare(rows)
        if not (rows.labels >= 0).any():
            raise InputError(
                f"{rows.name}: no row has a label, so there is nothing to measure; `predict` needs none"
            )
        return inference.evaluate(
            self.network, self.preprocessing, rows, batch_size=batch_size, device=self.device
        )


def require_rows(rows: Any) -> Sequences:
    """`rows`. Raises InputError for what users may hold in their place: a path, an array, splits; and for none."""
    if not isinstance(rows, Sequences):
        raise InputError(
            f"rows must be what load(...).train or from_arrays(...) gives, not a {type(rows).__name__}"
        )
    if not len(rows):
        raise InputError(f"{rows.name}: there are no rows in it; was none selected?")
    return rows


def choose_device(name: str) -> torch.device:
    """ "auto" takes a GPU where there is one. Raises InputError for what is not there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise InputError(f"--device {name}: is not a device; cpu, cuda or cuda:1, say") from None
    if device.type not in ("cpu", "cuda"):
        raise InputError(f"--device {name}: backcast runs on cpu and cuda")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise InputError(f"--device {name}: torch {torch.__version__} sees no such GPU; say --device cpu")
    return device


def build_network(config: Config, preprocessing: Preprocessing, classes: int) -> Model:
    """A network with initial weights from the config's seed. `classes` 0: no classifier; 1: a regression's output."""
    symbols, channels = preprocessing.symbols, preprocessing.channels
    method, hidden, drop = METHODS[config.method], config.hidden_size, config.dropconnect
    elements, wide = symbols or channels, config.feedforward_size
    decoder_size = config.decoder_hidden_size or hidden
    # torch draws initial weights from its global generator; they are replaced, and the generator is restored.
    with torch.random.fork_rng(devices=[]):
        encoder = build_encoder(method.network, symbols, channels, config.embedding_size, hidden)
        width = encoder.output_size
        decoder = predictor = next_element = None
        if "reconstruction" in method.auxiliary:
            decoder = Decoder(
                encoder.embedding, width, decoder_size, config.decoder_layers, elements, wide, drop, config.position_cue,
                bridged=method.network != "lstm" or decoder_size != width,
            )  # fmt: skip
        if "prediction" in method.auxiliary:
            predictor = Predictor(width, decoder_size, elements, wide, drop)
        if {"language model", "autoencoder"} & set(method.auxiliary):
            next_element = nn.Linear(width, elements)
        classifier = FeedForward(width, wide, classes, drop) if classes else None
        # float32 is what batches are, whatever torch's default is in this process.
        network = Model(encoder, classifier, decoder, predictor, next_element, symbols).float()
    initialise(network, config.seed, config.forget_gate_bias)
    return network


def build_encoder(network: Network, symbols: int, channels: int, embedding_size: int, hidden: int) -> Any:
    """What reads the sequence. The attention networks have as many parameters as an LSTM of `hidden` cells."""
    if network in RECURRENT:
        return RECURRENT[network](Embedding(symbols, channels, embedding_size), hidden)

    def build(width: int) -> nn.Module:
        return ATTENTION[network](Embedding(symbols, channels, width))

    return build(width_like(lstm_parameters(symbols, channels, embedding_size, hidden), HEADS, build))


def build_trainer(
    config: Config,
    network: Model,
    preprocessing: Preprocessing,
    train: Sequences,
    validation: Sequences | None,
    device: torch.device,
    measure: Callable[[int], dict[str, float]] = lambda epoch: {},
) -> Trainer:
    """A trainer for the config's method. `measure`: see `Trainer`."""
    weights = class_weights(train) if config.class_weights == "balanced" else None
    plan = phases(config, weights, regression=train.targets is not None)
    return Trainer(network, preprocessing, train, validation, plan, config, device, measure)


def class_weights(rows: Sequences) -> tuple[float, ...]:
    """rows / (classes × rows of the class), over the labelled rows, as scikit-learn's "balanced"; mean over rows: 1."""
    counts = rows.class_counts()
    return tuple((counts.sum() / (len(counts) * np.maximum(counts, 1))).tolist())


def describe_model(
    config: Config, preprocessing: Preprocessing, classes: tuple[Any, ...], picture: Picture | None
) -> dict[str, Any]:
    """`RUN/model/config.json`: with the weights, all that a prediction needs."""
    return {
        "format": MODEL_FORMAT,
        "classes": list(classes),
        "picture": None if picture is None else [picture.height, picture.width],
        "preprocessing": preprocessing.to_json(),
        "config": config.to_dict(),
    }


def weights_file(weights: Mapping[str, Tensor]) -> bytes:
    """The content of `RUN/model/model.safetensors`."""
    return save(storable(weights), {"format": "pt"})


def load_model(run: str | Path, device: str = "cpu") -> TrainedModel:
    """The model of a run folder, its `model` folder, what `save_pretrained` wrote, or on the Hub (`hf:owner/name`).

    Raises InputError where there is none, or where its files are damaged or do not fit each other.
    """
    if str(run).startswith(PREFIX):
        run = hub_models.download(str(run))
    folder = Path(run)
    folder = folder / "model" if (folder / "model").is_dir() else folder
    if not (folder / DESCRIPTION).is_file() or not (folder / WEIGHTS).is_file():
        hint = (
            "; it was started but has no finished epoch yet" if (Path(run) / "config.yaml").exists() else ""
        )
        raise InputError(f"{run}: there is no trained model in it{hint}")
    try:
        saved = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
        if saved["format"] != MODEL_FORMAT:
            raise ValueError(f"its format is {saved['format']!r}, this version reads {MODEL_FORMAT!r}")
        config = Config(**saved["config"])
        preprocessing = Preprocessing.from_json(saved["preprocessing"])
        classes = tuple(saved["classes"])
        picture = None if saved["picture"] is None else Picture(*saved["picture"])
        weights = load_file(folder / WEIGHTS)
        network = build_network(config, preprocessing, len(classes))
        network.load_state_dict(weights)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{folder}: this model cannot be read: {reason[:300]}") from None
    target = choose_device(device)
    of_run = folder.parent if folder.name == "model" and (folder.parent / "metrics.jsonl").exists() else None
    return TrainedModel(network.to(target).eval(), preprocessing, classes, config, picture, target, of_run)


def take_over(network: Model, source: TrainedModel, classes: tuple[Any, ...]) -> None:
    """Copies the weights of `source` into `network`: all that both have, the classifier only for the same classes.

    Raises InputError where the main networks are of different kinds, or a part that both have differs in shape.
    """
    own, given = network.state_dict(), source.network.state_dict()
    if type(network.encoder) is not type(source.network.encoder):
        raise InputError(
            f"--from: its main network is that of --method {source.config.method}, another kind than this run's; "
            "use a method with the same main network, or leave --from out"
        )
    taken: dict[str, Tensor] = {}
    for name, value in given.items():
        if name not in own or (name.startswith("classifier.") and source.classes != classes):
            continue
        if own[name].shape != value.shape:
            raise InputError(
                f"--from: its {name} has the shape {tuple(value.shape)}, this run's has {tuple(own[name].shape)}; "
                "use the same --hidden-size, --embedding-size and decoder settings"
            )
        taken[name] = value
    network.load_state_dict({**own, **taken})
