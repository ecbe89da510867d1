"""A config's data, ready to train on: loaded, checked, split."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from backcast.build import TrainedModel, load_model, require_rows
from backcast.config import Config
from backcast.data.describe import describe, new_classes, unknown_symbols
from backcast.data.preprocessing import Preprocessing, require_no_missing
from backcast.data.sequences import Sequences, Splits, concatenate, read_as, some
from backcast.data.sources import fitting, load
from backcast.data.splitting import keep_labels, split_validation
from backcast.data.store.writer import values_checksum
from backcast.errors import InputError

CHECKSUM = 2
"""The version of `rows_checksum`'s definition; checksums of different versions cannot be compared."""


@dataclass(frozen=True)
class Prepared:
    """A config's data, ready to train on. The test rows are not among them."""

    train: Sequences
    validation: Sequences | None
    test: int  # how many rows with a label DATA keeps for tests
    preprocessing: Preprocessing
    source: TrainedModel | None
    checksum: str
    classes: tuple[Any, ...]  # empty where nothing is classified
    description: str  # of DATA, in one line


def prepare(
    config: Config,
    rows: Sequences | None = None,
    say: Callable[[str], None] = lambda line: None,
    begun: Preprocessing | None = None,
) -> Prepared:
    """Loads DATA (or takes `rows` instead), checks it and splits it. Raises InputError.

    Validation rows are DATA's own, else some of the training rows.

    begun   the preprocessing of a run from another (`--from`) that goes on: that other is not read again
    """
    if rows is not None:
        splits = Splits(require_rows(rows))
    elif config.data is None:
        raise InputError("which DATA? Name a built-in set (`backcast ls datasets`), a file or a folder")
    else:
        splits = load(config.data, limit=config.limit, say=say, **config.data_options())
    if config.epochs:
        _check_labels(splits.train, config)
        _say_of_labels(splits, config, say)
    description = describe(splits.train, config.kind)
    rows, held_out = hold_out(config, splits)
    if held_out is not None:
        description += (
            f"; {len(held_out):,} {'of them ' if held_out.name == splits.train.name else ''}choose the epoch"
        )
    rows = keep_labels(rows, config.labeled, config.seed)
    if config.unlabeled is not None:
        rows, more = _with_unlabeled(rows, config, config.unlabeled, say)
        description += f"; {describe(more, config.kind)}"
    source = None if config.from_run is None or begun is not None else load_model(config.from_run)
    preprocessing = begun or (Preprocessing.fit(rows) if source is None else source.preprocessing)
    for part in (rows, held_out):
        if part is not None:
            preprocessing.check(part)
            if line := unknown_symbols(preprocessing, part):
                say(line)
    if begun is None:  # what goes on has trained already
        for part in (splits.validation, splits.test):
            if part is not None:
                require_no_missing(part)  # else evaluate and report would refuse them afterwards
    return Prepared(
        train=rows,
        validation=held_out,
        test=0 if splits.test is None else int((splits.test.labels >= 0).sum()),
        preprocessing=preprocessing,
        source=source,
        checksum=rows_checksum(rows, held_out),
        classes=rows.classes if config.epochs else (),
        description=description,
    )


def hold_out(config: Config, splits: Splits) -> tuple[Sequences, Sequences | None]:
    """Rows to train on, and those that choose the epoch: the validation rows of DATA, else some of the training rows.

    None where nothing is classified, or nothing is held out. In place of validation rows without
    any label, some of the training rows are held out.
    """
    if not config.epochs:
        return splits.train, None
    if splits.validation is None or not (splits.validation.labels >= 0).any():
        return split_validation(splits.train, config.validation, config.seed)
    return splits.train, splits.validation.relabel(splits.train.classes)


def _check_labels(rows: Sequences, config: Config) -> None:
    if not rows.classes:
        raise InputError(
            f"{rows.name}: the rows have no labels (a column `label`, or the one that --label names; an array `y`); "
            "to pretrain without any, say --epochs 0"
        )
    present = np.flatnonzero(rows.class_counts())
    if len(present) == 1:
        raise InputError(
            f"{rows.name}: every label is {rows.classes[present[0]]!r}; there must be at least two classes"
        )
    if config.missing_label is None and (rows.labels < 0).any():
        row = int(np.flatnonzero(rows.labels < 0)[0])
        raise InputError(
            f"{rows.name}: {rows.called(row)} has no label; if that is meant, say --missing-label ''"
        )


def _say_of_labels(splits: Splits, config: Config, say: Callable[[str], None]) -> None:
    """Says what looks odd, but can be trained on."""
    train, test = splits.train, splits.test
    if config.missing_label is not None and (train.labels >= 0).all():
        say(f"{train.name}: every row has a label; none is --missing-label {config.missing_label!r}")
    if train.class_counts().max(initial=0) == 1:
        say(f"{train.name}: every class has one row, so none can be held out; is that the label column?")
    if test is not None and (new := new_classes(test, train)):
        say(
            f"{test.name}: has classes that the training rows have not ({some(new)}); neither report nor "
            "evaluate can measure these rows until those of such classes are left out, or some are trained on"
        )


def _with_unlabeled(
    rows: Sequences, config: Config, data: str, say: Callable[[str], None]
) -> tuple[Sequences, Sequences]:
    """The rows and those of `data`, read like them; and the latter alone."""
    options = fitting(data, config.data_options()) | {"kind": read_as(rows.kind)}
    more = load(data, labels=False, say=say, **options).train
    require_no_missing(more)
    return replace(concatenate(rows, more), name=f"{rows.name} and {more.name}"), more


def rows_checksum(*parts: Sequences | None) -> str:
    """Identifies the rows: what is trained on, and in which order."""
    digest = hashlib.sha256()
    for part in parts:
        if part is not None:
            digest.update((part.checksum or values_checksum(part.values)).encode())
            for array in (part.starts, part.lengths, part.labels):
                digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
