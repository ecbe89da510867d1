"""A run: data in, a folder out that explains itself.

RUN/config.yaml          every setting; `train --config` on it starts the same run again
RUN/environment.json     versions, machine, command, checksum of the data
RUN/metrics.jsonl        one object per line, every epoch and every 50 steps
RUN/checkpoints/         the last two states of training
RUN/model/               weights and config.json: all that a prediction needs
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from shlex import quote
from typing import Any

import torch
import yaml
from torch import Tensor

from backcast import process
from backcast.build import (
    DESCRIPTION,
    WEIGHTS,
    TrainedModel,
    build_network,
    build_trainer,
    choose_device,
    describe_model,
    load_model,
    take_over,
    weights_file,
)
from backcast.checkpoint import Checkpoint, checkpoint_files, load_last, save_checkpoint
from backcast.config import FIELDS, Config, as_flag, flag, read_yaml, resolve
from backcast.data.preprocessing import Preprocessing
from backcast.data.sequences import Sequences
from backcast.errors import InputError, RunError
from backcast.files import write_atomically, write_json
from backcast.history import read_metrics
from backcast.kernel import description as kernel_in_use
from backcast.locks import held
from backcast.machine import processor
from backcast.nn.model import Model
from backcast.prepared import CHECKSUM, Prepared, prepare
from backcast.trainer import Recorder, Trainer

CONFIG, ENVIRONMENT, METRICS, CHECKPOINTS, MODEL = (
    "config.yaml", "environment.json", "metrics.jsonl", "checkpoints", "model",
)  # fmt: skip
OWN_FILES = (CONFIG, ENVIRONMENT, METRICS, CHECKPOINTS, MODEL, "report.html", "interactive.html")
MAY_DIFFER = ("data", "unlabeled", "from_run", "data_dir", "device", "checkpoint_minutes")
"""Settings that may change when a run is resumed: the result does not depend on them, or a checksum guards it."""


class RunFolder(Recorder):
    """The files of one run."""

    def __init__(self, path: Path, fingerprint: str, on_advance: Callable[[str], None]) -> None:
        self.path = path
        self.fingerprint = fingerprint
        self.on_advance = on_advance

    def metrics(self, entry: dict[str, Any]) -> None:
        with self._writing(), (self.path / METRICS).open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")

    def checkpoint(self, checkpoint: Checkpoint) -> None:
        with self._writing():
            with (self.path / METRICS).open("ab") as metrics:
                os.fsync(metrics.fileno())  # what the checkpoint counts must be there after a power cut, too
                written = metrics.tell()
            meta = {**checkpoint.meta, "fingerprint": self.fingerprint, "metrics_bytes": written}
            save_checkpoint(self.path / CHECKPOINTS, Checkpoint(checkpoint.tensors, meta))

    def weights(self, weights: dict[str, Tensor]) -> None:
        with self._writing():
            write_atomically(self.path / MODEL / WEIGHTS, weights_file(weights))

    def remove_parts(self) -> None:
        """Removes what was being written when this run was killed."""
        for folder in (CHECKPOINTS, MODEL):
            for part in (self.path / folder).glob("*.part"):
                with suppress(OSError):
                    part.unlink()

    def advance(self, description: str) -> None:
        self.on_advance(description)

    def last_checkpoint(self, warn: Callable[[str], None]) -> Checkpoint | None:
        """The newest good checkpoint; what was measured after it is dropped from the metrics."""
        checkpoint = load_last(self.path / CHECKPOINTS, self.fingerprint, warn)
        kept = 0 if checkpoint is None else int(checkpoint.meta["metrics_bytes"])
        metrics = self.path / METRICS
        there = metrics.stat().st_size if metrics.exists() else 0
        if there < kept:
            raise InputError(
                f"{metrics}: is damaged: it is shorter than at the last checkpoint; put it back, or say --overwrite to start over"
            )
        if there > kept:
            with self._writing(), metrics.open("r+b") as file:
                file.truncate(kept)
        return checkpoint

    def begin(self, config: Config, prepared: Prepared, device: torch.device) -> None:
        """Makes the folder anew. Raises InputError where it cannot be written, or holds files that are not a run's."""
        foreign = [name for name in OWN_FILES if (self.path / name).exists()]
        if foreign and "backcast" not in read_environment(self.path):
            raise InputError(f"--out {self.path}: holds a {foreign[0]} that is no run's; say another folder")
        try:
            for name in OWN_FILES:
                if name != ENVIRONMENT:  # replaced below: until then it marks what is left here as a run's
                    _remove(self.path / name)
            write_json(self.path / ENVIRONMENT, _environment(prepared, device))
            for folder in (CHECKPOINTS, MODEL):
                (self.path / folder).mkdir(parents=True)
            self._describe(config, prepared)
        except OSError as error:
            raise InputError(f"--out {self.path}: cannot be written: {error.strerror}") from None

    def go_on(self, config: Config, prepared: Prepared) -> None:
        """Notes the settings that differ from those the run began with: DATA may have moved."""
        if read_config(self.path) != config:
            with self._writing():
                self._describe(config, prepared)

    def _describe(self, config: Config, prepared: Prepared) -> None:
        description = describe_model(config, prepared.preprocessing, prepared.classes, prepared.train.picture)
        write_json(self.path / MODEL / DESCRIPTION, description)
        text = yaml.safe_dump(config.to_dict(), sort_keys=False)
        write_atomically(self.path / CONFIG, text.encode())

    @contextmanager
    def _writing(self) -> Any:
        try:
            yield
        except OSError as error:
            there = checkpoint_files(self.path / CHECKPOINTS)
            raise RunError(
                f"{self.path}: cannot be written ({error.strerror}); "
                f"{'the last good checkpoint is kept' if there else 'there is no checkpoint yet'}. "
                f"Make room, then: backcast train --resume --out {quote(str(self.path))}"
            ) from None


def holds_run(out: Path) -> bool:
    """Is there a run of ours in the folder? Its environment file, which is written first, says so."""
    return (out / CONFIG).exists() and "backcast" in read_environment(out)


def read_config(run: Path) -> Config:
    """The settings of a run folder. Raises InputError where it is not one."""
    if not holds_run(run):
        raise InputError(f"{run}: is not a run (there is no {CONFIG} in it, or no {ENVIRONMENT} of ours)")
    return resolve([read_yaml(run / CONFIG)])


def train(
    config: Config,
    out: str | Path,
    *,
    rows: Sequences | None = None,
    resume: bool = False,
    overwrite: bool = False,
    pretrained: Path | None = None,
    measure: Callable[[TrainedModel, int], dict[str, float]] = lambda model, epoch: {},
    say: Callable[[str], None] = lambda line: None,
    on_total: Callable[[int, int], None] = lambda total, done: None,
    on_advance: Callable[[str], None] = lambda description: None,
    stop: Callable[[], bool] = lambda: False,
) -> TrainedModel:
    """Trains what `config` says into the folder `out` and returns the model.

    rows        used instead of DATA, such as `backcast.from_arrays` makes
    resume      continue from the last good checkpoint; without one start over; do nothing if the run is finished
    overwrite   replace an existing run
    pretrained  a run of `config.pretraining()`, whose phase 1 is taken: the result is bit for bit that of a run of both
    measure     what else to note in the metrics after every epoch that classifies (it is told which, from 1 within its
                phase); it decides nothing
    on_total    told the number of training steps, and how many of them are done already

    Raises InputError, before anything is written, for input that does not fit; RunError, with the last good
    checkpoint kept, for a run that cannot go on.
    """
    if not isinstance(config, Config):
        raise InputError(f"config must be a Config(...), not a {type(config).__name__}")
    out = Path(out)
    if resume and overwrite:
        raise InputError("resume and overwrite exclude each other")
    # Settings that do not fit are refused before the rows are read.
    going_on = _goes_on(config, out, resume, overwrite)
    device = choose_device(config.device)
    prepared = prepare(config, rows, say, _begun_with(out) if going_on and config.from_run else None)
    network = build_network(config, prepared.preprocessing, len(prepared.classes))
    if prepared.source is not None:
        take_over(network, prepared.source, prepared.classes)
    model = TrainedModel(
        network, prepared.preprocessing, prepared.classes, config, prepared.train.picture, device, out
    )
    with locked(out), process.flushed_denormals():
        going_on = _goes_on(config, out, resume, overwrite)  # another process may have been here
        if going_on:
            _require_same_rows(prepared, out)
        folder = RunFolder(out, _fingerprint(config, prepared), on_advance)
        folder.remove_parts()
        trainer = build_trainer(
            config, network, prepared.preprocessing, prepared.train, prepared.validation, device,
            lambda epoch: measure(model, epoch),
        )  # fmt: skip
        if pretrained is not None:
            _skip_pretraining(trainer, network, config, prepared.preprocessing, pretrained)
        checkpoint = folder.last_checkpoint(say) if going_on else None
        if checkpoint is not None:
            trainer.restore(checkpoint)
            folder.go_on(config, prepared)
        else:
            say(prepared.description)
            if going_on:
                say(f"{out}: there is no checkpoint to go on from; starting over")
            if config.from_run is not None and prepared.source is None:  # its checkpoints went meanwhile
                take_over(network, load_model(config.from_run), prepared.classes)
            folder.begin(config, prepared, device)
        if trainer.position.finished:
            say(f"{out}: this run is finished; there is nothing to resume")
        on_total(trainer.total_steps, trainer.position.step)
        trainer.fit(folder, stop)
    network.eval()
    return model


def _goes_on(config: Config, out: Path, resume: bool, overwrite: bool) -> bool:
    """Is there a run in the folder to continue? Raises InputError for one that must not be touched, or is another."""
    if not holds_run(out):
        return False
    if resume:
        _require_same_settings(read_config(out), config, out)
    elif not overwrite:
        raise InputError(
            f"--out {out}: there is a run in it already; say --resume, --overwrite or another folder"
        )
    return resume


def _begun_with(out: Path) -> Preprocessing | None:
    """The preprocessing of a run that has a checkpoint; None where it must start over."""
    if not checkpoint_files(out / CHECKPOINTS):
        return None
    try:
        return Preprocessing.from_json(_description(out)["preprocessing"])
    except (ValueError, KeyError, TypeError):
        return None


def _require_same_rows(prepared: Prepared, out: Path) -> None:
    if read_environment(out).get("data_sha256") != prepared.checksum:
        raise InputError(
            f"--resume: the rows of {prepared.train.name} are not those that the run in {out} began with"
        )
    own = list(prepared.classes)
    if _description(out).get("classes", own) != own:  # none where the run stopped before it was written
        raise InputError(
            f"--resume: the classes of {prepared.train.name} are not those that the run in {out} began with"
        )


def _skip_pretraining(
    trainer: Trainer, network: Model, config: Config, preprocessing: Preprocessing, pretrained: Path
) -> None:
    """Takes phase 1 from another run. Raises InputError where that run is not this one's phase 1, or not finished.

    Its rows may have other labels than ours; what the preprocessing learned from them shows that they are otherwise
    the same.
    """
    if config.from_run is not None:
        raise InputError(
            f"{pretrained}: phase 1 is taken from it, so --from {config.from_run} cannot be; say one"
        )
    wanted, found = config.pretraining(), read_config(pretrained)
    differing = [] if wanted is None else [flag(name) for name in _differing(wanted, found)]
    if wanted is None or differing or config.validation:
        reason = f"it differs in {', '.join(differing)}" if differing else "this run has no such phase"
        raise InputError(
            f"{pretrained}: is not phase 1 of this run: {'rows are held out' if config.validation else reason}"
        )
    epochs = read_metrics(pretrained / METRICS)
    if not epochs or epochs[-1]["epoch"] != wanted.pretrain_epochs:
        raise InputError(
            f"{pretrained}: is not finished; go on with: backcast train --resume --out {quote(str(pretrained))}"
        )
    source = load_model(pretrained)
    if source.preprocessing.to_json() != preprocessing.to_json():
        raise InputError(f"{pretrained}: is not phase 1 of this run: it was pretrained on other rows")
    take_over(network, source, ())
    trainer.skip_pretraining(epochs[-1]["step"], epochs[-1]["seconds"])


def _require_same_settings(saved: Config, given: Config, out: Path) -> None:
    if differing := _differing(saved, given):
        name = differing[0]
        before, now = (as_flag(name, getattr(settings, name)) for settings in (saved, given))
        raise InputError(f"--resume: the run in {out} was begun with {before}, not {now}")


def _differing(one: Config, other: Config) -> list[str]:
    """The settings in which two runs differ, but for those that a run may be continued with."""
    return [name for name in FIELDS if name not in MAY_DIFFER and getattr(one, name) != getattr(other, name)]


def _fingerprint(config: Config, prepared: Prepared) -> str:
    """Identifies what the run computes. Defaults are left out, so that a later version may add a setting."""
    settings = {name: value for name, value in config.changed().items() if name not in MAY_DIFFER}
    parts = [settings, prepared.checksum, prepared.preprocessing.to_json()]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def locked(out: Path) -> AbstractContextManager[None]:
    """Allows one process at a time in a folder."""
    return held(out / ".lock", f"--out {out}")


def _environment(prepared: Prepared, device: torch.device) -> dict[str, Any]:
    gpu = torch.cuda.get_device_name(device) if device.type == "cuda" else None
    return {
        "backcast": version("backcast"),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": version("numpy"),
        "system": platform.platform(),
        "processor": processor(),
        "threads": torch.get_num_threads(),
        "kernel": kernel_in_use(),
        "device": str(device),
        "gpu": gpu,
        "command": sys.argv,
        "began": datetime.now(UTC).isoformat(timespec="seconds"),
        "rows": {
            "train": len(prepared.train),
            "labelled": int((prepared.train.labels >= 0).sum()),
            "validation": int((prepared.validation.labels >= 0).sum()) if prepared.validation else 0,
            "test": prepared.test,
        },
        "data_sha256": prepared.checksum,
        "data_checksum": CHECKSUM,
        "permutation_sha256": prepared.preprocessing.permutation_checksum,
    }


def read_environment(out: Path) -> dict[str, Any]:
    """The contents of a run folder's `environment.json`; empty where there is none."""
    return _read(out / ENVIRONMENT)


def require_environment(out: Path) -> dict[str, Any]:
    """The same, where its rows and its command can be read. Raises InputError where they cannot."""
    found = read_environment(out)
    rows, words = found.get("rows", {}), found.get("command") or []
    if not isinstance(rows, dict) or not all(isinstance(rows.get(n, 0), int) for n in ("train", "labelled")):
        raise InputError(
            f"{out / ENVIRONMENT}: is damaged: `rows` are no counts; put it back, or train again"
        )
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise InputError(
            f"{out / ENVIRONMENT}: is damaged: `command` is no list of words; put it back, or train again"
        )
    return found


def _description(out: Path) -> dict[str, Any]:
    """What a run folder says of its model, before there are weights; empty where it does not."""
    return _read(out / MODEL / DESCRIPTION)


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
