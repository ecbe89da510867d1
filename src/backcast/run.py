"""A run: data in, a folder out that explains itself.

RUN/config.yaml          every setting; `train --config` on it starts the same run again
RUN/environment.json     versions, machine, command, checksum of the data
RUN/metrics.jsonl        one object a line: every epoch, and every 50 steps
RUN/checkpoints/         the last two states of training
RUN/model/               weights and config.json: alone enough to predict
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import platform
import shutil
import sys
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from filelock import FileLock, Timeout
from safetensors.torch import save
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
)
from backcast.checkpoint import Checkpoint, load_last, save_checkpoint
from backcast.config import READING, Config, flag, read_yaml, resolve
from backcast.data.describe import describe, unknown_symbols
from backcast.data.preprocessing import Preprocessing, require_no_missing
from backcast.data.sequences import Sequences, Splits, concatenate
from backcast.data.sources import load
from backcast.data.splitting import keep_labels, split_validation
from backcast.data.store.writer import values_checksum
from backcast.errors import InputError, RunError
from backcast.files import write_atomically, write_json
from backcast.kernel import description as kernel_in_use
from backcast.machine import processor

CONFIG, ENVIRONMENT, METRICS, CHECKPOINTS, MODEL = (
    "config.yaml", "environment.json", "metrics.jsonl", "checkpoints", "model",
)  # fmt: skip
OWN_FILES = (CONFIG, ENVIRONMENT, METRICS, CHECKPOINTS, MODEL, "report.html")
CHECKSUM = 2
"""Which definition `data_sha256` follows; checksums of different definitions cannot be compared."""
MAY_DIFFER = ("data", "unlabeled", "from_run", "data_dir", "device", "checkpoint_minutes")
"""Settings that may change when a run is resumed: what is computed does not follow from them, or is held by a checksum."""


@dataclass(frozen=True)
class Prepared:
    """A config's data, ready to train on. The test rows are not among them."""

    train: Sequences
    validation: Sequences | None
    preprocessing: Preprocessing
    source: TrainedModel | None
    checksum: str
    classes: tuple[Any, ...]  # none where nothing is classified
    description: str  # of DATA, a line


def prepare(
    config: Config, rows: Sequences | None = None, say: Callable[[str], None] = lambda line: None
) -> Prepared:
    """Loads DATA (or takes `rows` in its place), checks and splits. Raises InputError.

    Validation rows are those that DATA brings, else some of the training rows.
    """
    if rows is not None:
        splits = Splits(rows)
    elif config.data is None:
        raise InputError("which DATA? Name a built-in set (`backcast ls datasets`), a file or a folder")
    else:
        splits = _load(config, config.data, say=say)
    if config.epochs:
        _check_labels(splits.train, config)
        if config.missing_label is not None and (splits.train.labels >= 0).all():
            say(
                f"{splits.train.name}: every row has a label; none is --missing-label {config.missing_label!r}"
            )
    description = describe(splits.train, config.kind)
    rows, held_out = hold_out(config, splits)
    if held_out is not None:
        description += (
            f"; {len(held_out):,} {'of them ' if held_out.name == splits.train.name else ''}choose the epoch"
        )
    rows = keep_labels(rows, config.labeled, config.seed)
    if config.unlabeled is not None:
        more = _load(replace(config, limit=None), config.unlabeled, labels=False, say=say).train
        require_no_missing(more)
        rows = concatenate(rows, more)
        description += f"; {describe(more, config.kind)}"
    source = None if config.from_run is None else load_model(config.from_run)
    preprocessing = Preprocessing.fit(rows) if source is None else source.preprocessing
    for part in (rows, held_out):
        if part is not None:
            preprocessing.check(part)
            if line := unknown_symbols(preprocessing, part):
                say(line)
    classes = rows.classes if config.epochs else ()
    return Prepared(
        rows, held_out, preprocessing, source, rows_checksum(rows, held_out), classes, description
    )


def hold_out(config: Config, splits: Splits) -> tuple[Sequences, Sequences | None]:
    """Rows to train on, and those that choose the epoch: the validation rows of DATA, else some of the training rows.

    None where nothing is classified, or nothing is held out. Validation rows without any label choose nothing.
    """
    if not config.epochs:
        return splits.train, None
    if splits.validation is None or not (splits.validation.labels >= 0).any():
        return split_validation(splits.train, config.validation, config.seed)
    return splits.train, splits.validation.relabel(splits.train.classes)


def _load(config: Config, data: str, *, labels: bool = True, say: Callable[[str], None]) -> Splits:
    return load(
        data,
        data_dir=config.data_dir,
        limit=config.limit,
        max_length=config.max_length,
        missing_label=config.missing_label,
        permutation_seed=config.permutation_seed,
        labels=labels,
        say=say,
        **{name: getattr(config, name) for name in READING},
    )


def _check_labels(rows: Sequences, config: Config) -> None:
    if not rows.classes:
        raise InputError(
            f"{rows.name}: the rows have no labels (a column `label`, or the one that --label names; an array `y`); "
            "to pretrain without any, say --epochs 0"
        )
    present = np.unique(rows.labels[rows.labels >= 0])
    if len(present) == 1:
        raise InputError(
            f"{rows.name}: every label is {rows.classes[present[0]]!r}; there must be at least two classes"
            + (" (--limit takes the first rows, and these may come class by class)" if config.limit else "")
        )
    if config.missing_label is None and (rows.labels < 0).any():
        row = int(np.flatnonzero(rows.labels < 0)[0])
        raise InputError(f"{rows.name}: row {row} has no label; if that is meant, say --missing-label")


def rows_checksum(*parts: Sequences | None) -> str:
    """Names the rows: what is trained on, and in which order."""
    digest = hashlib.sha256()
    for part in parts:
        if part is not None:
            digest.update((part.checksum or values_checksum(part.values)).encode())
            for array in (part.starts, part.lengths, part.labels):
                digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


class RunFolder:
    """The files of one run: a `Recorder` for the trainer."""

    def __init__(self, path: Path, fingerprint: str, on_advance: Callable[[str], None]) -> None:
        self.path = path
        self.fingerprint = fingerprint
        self.on_advance = on_advance

    def metrics(self, entry: dict[str, Any]) -> None:
        with self._writing(), (self.path / METRICS).open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")

    def checkpoint(self, checkpoint: Checkpoint) -> None:
        with self._writing():
            written = (self.path / METRICS).stat().st_size if (self.path / METRICS).exists() else 0
            meta = {**checkpoint.meta, "fingerprint": self.fingerprint, "metrics_bytes": written}
            save_checkpoint(self.path / CHECKPOINTS, Checkpoint(checkpoint.tensors, meta))

    def weights(self, weights: dict[str, Tensor]) -> None:
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}
        with self._writing():
            write_atomically(self.path / MODEL / WEIGHTS, save(tensors, {"format": "pt"}))

    def advance(self, description: str) -> None:
        self.on_advance(description)

    def last_checkpoint(self, warn: Callable[[str], None]) -> Checkpoint | None:
        """The newest good checkpoint; what was measured after it is dropped from the metrics."""
        checkpoint = load_last(self.path / CHECKPOINTS, self.fingerprint, warn)
        kept = 0 if checkpoint is None else int(checkpoint.meta["metrics_bytes"])
        metrics = self.path / METRICS
        if metrics.exists() and metrics.stat().st_size > kept:
            with self._writing(), metrics.open("r+b") as file:
                file.truncate(kept)
        return checkpoint

    def begin(self, config: Config, prepared: Prepared, device: torch.device) -> None:
        """Makes the folder anew. Raises InputError where it cannot be written, or holds what is no run's."""
        foreign = [name for name in OWN_FILES if (self.path / name).exists()]
        if foreign and "backcast" not in read_environment(self.path):
            raise InputError(f"--out {self.path}: holds a {foreign[0]} that is no run's; say another folder")
        try:
            for name in OWN_FILES:
                _remove(self.path / name)
            write_json(self.path / ENVIRONMENT, _environment(prepared, device))
            for folder in (CHECKPOINTS, MODEL):
                (self.path / folder).mkdir(parents=True)
            description = describe_model(
                config, prepared.preprocessing, prepared.classes, prepared.train.picture
            )
            write_json(self.path / MODEL / DESCRIPTION, description)
            text = yaml.safe_dump(config.to_dict(), sort_keys=False)
            write_atomically(self.path / CONFIG, text.encode())
        except OSError as error:
            raise InputError(f"--out {self.path}: cannot be written: {error.strerror}") from None

    @contextmanager
    def _writing(self) -> Any:
        try:
            yield
        except OSError as error:
            raise RunError(
                f"{self.path}: cannot be written ({error.strerror}); the last good checkpoint is kept. "
                f"Make room, then: backcast train --resume --out {self.path}"
            ) from None


def holds_run(out: Path) -> bool:
    """Is there a run of ours in the folder? Its environment says so, and is written first."""
    return (out / CONFIG).exists() and "backcast" in read_environment(out)


def read_config(run: Path) -> Config:
    """The settings of a run folder. Raises InputError where it is none."""
    if not holds_run(run):
        raise InputError(f"{run}: is not a run (there is no {CONFIG} in it)")
    return resolve([read_yaml(run / CONFIG)])


def train(
    config: Config,
    out: str | Path,
    *,
    rows: Sequences | None = None,
    resume: bool = False,
    overwrite: bool = False,
    say: Callable[[str], None] = lambda line: None,
    on_total: Callable[[int, int], None] = lambda total, done: None,
    on_advance: Callable[[str], None] = lambda description: None,
    stop: Callable[[], bool] = lambda: False,
) -> TrainedModel:
    """Trains what `config` says into the folder `out` and returns the model.

    rows       in place of DATA, such as `backcast.from_arrays` makes
    resume     go on from the last good checkpoint; without one start over, on a finished run do nothing
    overwrite  replace a run that is there
    on_total   told the number of training steps, and how many of them are done already

    Raises InputError, before anything is written, for input that does not fit; RunError, with the last good
    checkpoint kept, for a run that cannot go on.
    """
    out = Path(out)
    going_on = resume and holds_run(out)
    if going_on:
        _require_same_settings(read_config(out), config, out)
    elif holds_run(out) and not overwrite:
        raise InputError(
            f"--out {out}: there is a run in it already; say --resume, --overwrite or another folder"
        )
    device = choose_device(config.device)
    prepared = prepare(config, rows, say)
    if going_on and read_environment(out).get("data_sha256") != prepared.checksum:
        raise InputError(
            f"--resume: the rows of {config.data} are not those that the run in {out} began with"
        )
    network = build_network(config, prepared.preprocessing, len(prepared.classes))
    if prepared.source is not None:
        take_over(network, prepared.source, prepared.classes)
    with _locked(out), process.flushed_denormals():
        folder = RunFolder(out, _fingerprint(config, prepared), on_advance)
        trainer = build_trainer(
            config, network, prepared.preprocessing, prepared.train, prepared.validation, device
        )
        checkpoint = folder.last_checkpoint(say) if going_on else None
        if checkpoint is not None:
            trainer.restore(checkpoint)
        else:
            say(prepared.description)
            if going_on:
                say(f"{out}: there is no checkpoint to go on from; starting over")
            folder.begin(config, prepared, device)
        if trainer.position.finished:
            say(f"{out}: this run is finished; there is nothing to resume")
        on_total(trainer.total_steps, trainer.position.step)
        trainer.fit(folder, stop)
    return TrainedModel(
        network.eval(), prepared.preprocessing, prepared.classes, config, prepared.train.picture, device
    )


def _require_same_settings(saved: Config, given: Config, out: Path) -> None:
    for field in dataclasses.fields(Config):
        before, now = getattr(saved, field.name), getattr(given, field.name)
        if field.name not in MAY_DIFFER and before != now:
            raise InputError(
                f"--resume: the run in {out} was begun with {flag(field.name)} {before}, not {now}"
            )


def _fingerprint(config: Config, prepared: Prepared) -> str:
    """Names what the run computes. Defaults are left out, so that a later version may add a setting."""
    settings = {
        field.name: getattr(config, field.name)
        for field in dataclasses.fields(Config)
        if field.name not in MAY_DIFFER and getattr(config, field.name) != field.default
    }
    parts = [settings, prepared.checksum, prepared.preprocessing.to_json()]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


@contextmanager
def _locked(out: Path) -> Any:
    """One process at a time in a folder."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        lock = FileLock(out / ".lock", timeout=0)
        lock.acquire()
    except Timeout:
        raise InputError(f"--out {out}: another process is training in it") from None
    except OSError as error:
        raise InputError(f"--out {out}: cannot be written: {error.strerror}") from None
    try:
        yield
    finally:
        lock.release()
        (out / ".lock").unlink(missing_ok=True)


def _environment(prepared: Prepared, device: torch.device) -> dict[str, Any]:
    gpu = torch.cuda.get_device_name(device) if device.type == "cuda" else None
    return {
        "backcast": version("backcast"),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
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
            "validation": len(prepared.validation or []),
        },
        "data_sha256": prepared.checksum,
        "data_checksum": CHECKSUM,
        "permutation_sha256": prepared.preprocessing.permutation_checksum,
    }


def read_environment(out: Path) -> dict[str, Any]:
    """What `environment.json` of a run folder says; empty where there is none."""
    try:
        return json.loads((out / ENVIRONMENT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
