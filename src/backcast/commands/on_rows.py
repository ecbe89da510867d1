"""What `backcast evaluate` and `backcast predict` share: a trained model, and the rows to read with it."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from backcast.arguments import one_of, whole
from backcast.commands.settings import add_some_settings, given
from backcast.commands.terminal import prepare_process, say
from backcast.config import DATA_OPTIONS, FIELDS
from backcast.errors import InputError
from backcast.output_files import require_place

if TYPE_CHECKING:
    from backcast.build import TrainedModel
    from backcast.data.sequences import Sequences

NOT_AGAIN = ("kind", "permutation_seed")  # a trained model has its own


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", type=Path, metavar="RUN", help="a run folder")
    parser.add_argument("data", metavar="DATA", help=FIELDS["data"].metadata["help"])
    parser.add_argument("--split", type=one_of("train", "validation", "test", "all"), metavar="{train,validation,test,all}", help="default: the test split where there is one, else all rows")  # fmt: skip
    again = [name for name in DATA_OPTIONS if name not in NOT_AGAIN]
    add_some_settings(parser, again, " (default: as in training)")
    parser.add_argument("--device", default="auto", help=FIELDS["device"].metadata["help"])
    parser.add_argument("--batch-size", default=256, type=whole(1), help="rows at a time (default: 256)")


def require_output(path: Path, name: str, data: str, endings: tuple[str, ...] = ()) -> None:
    """As `require_place`; DATA itself is no place, either."""
    require_place(path, name, endings)
    if path.exists() and os.path.exists(data) and path.samefile(data):
        raise InputError(f"{name}: holds the rows that are to be read; say another file")


def load_both(arguments: argparse.Namespace, labels: bool) -> tuple[TrainedModel, Sequences, str]:
    """The model, the rows of the wanted split, and the split's name; `labels`: whether the rows must have some."""
    prepare_process(arguments)
    from backcast.build import load_model
    from backcast.evaluation import rows_for

    model = load_model(arguments.source, arguments.device)
    reading = given(arguments, DATA_OPTIONS)
    return model, *rows_for(model, arguments.data, arguments.split, reading, say, labels)
