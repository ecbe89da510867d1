"""DATA as a trained model reads it: with the columns, cuts and labels of its training, unless told otherwise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from backcast.build import TrainedModel
from backcast.config import resolve
from backcast.data.describe import unknown_symbols
from backcast.data.reading import NoColumn
from backcast.data.reading import split as split_names
from backcast.data.sequences import Sequences, concatenate, some
from backcast.data.sources import fitting, load
from backcast.errors import InputError


def rows_for(
    model: TrainedModel,
    data: str,
    split: str | None,
    given: dict[str, Any],
    say: Callable[[str], None] = lambda line: None,
    labels: bool = True,
) -> tuple[Sequences, str]:
    """The rows of a split of DATA, and the split's name: `test` where there is one and none is named, else all.

    given   settings of `config.DATA_OPTIONS` that differ from the run's
    labels  False: labels are not needed, and no row has one

    Raises InputError for what the model does not read, or a split that is not there. `say` is told of cut rows and of
    symbols that the model does not know.
    """
    config = resolve([model.config.to_dict(), given])
    options = fitting(data, config.data_options(), given) | {"kind": model.preprocessing.reads}
    columns = model.preprocessing.columns
    named = ",".join(columns)
    by_time = config.time is not None and "time" in options
    trained_on = columns and by_time and config.x is None and split_names(named) == [*columns]
    if trained_on:
        options["x"] = named  # another file may have its columns in another order
    try:
        parts = load(data, say=say, labels=labels, **options).parts()
    except NoColumn as error:
        if not trained_on or error.option != "--x":
            raise
        raise InputError(f"{error.plain}; the model was trained on {some(columns)}") from None
    split = split or ("test" if "test" in parts else "all")
    if split == "all":
        own = model.classes  # a class of the model may be missing from one of the parts
        rows, *more = (part.relabel(own) if part.classes and own else part for part in parts.values())
        for part in more:
            rows = concatenate(rows, part)
        if len({str(one) for one in rows.ids}) < len(rows):  # each split counts from 0
            names = [f"{name}/{one}" for name, part in parts.items() for one in part.ids]
            rows = replace(rows, ids=np.array(names, object))
    elif split in parts and (split != "train" or len(parts) > 1):
        rows = parts[split]
    else:
        raise InputError(f"{data}: has no {split} split; all its rows are in --split all")
    model.preprocessing.check(rows)
    if line := unknown_symbols(model.preprocessing, rows):
        say(line)
    return rows, split
