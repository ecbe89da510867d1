"""What is in DATA, which settings suit it, and what training will take: the lines of `backcast inspect`."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from backcast.config import as_flag, resolve
from backcast.data.describe import kind_hint, new_classes
from backcast.data.preprocessing import Preprocessing, count_symbols, varying
from backcast.data.sequences import Sequences, describe_elements
from backcast.data.sources import load
from backcast.errors import plural
from backcast.legible import visible
from backcast.output_files import require_place
from backcast.rows_figure import SUFFIXES, write_figure
from backcast.suggestions import (
    Measured,
    measure_step,
    suggest,
    train_command,
    without_auxiliary,
)

MOST_CLASSES, MOST_CHANNELS, MOST_SYMBOLS, MOST_BINS, BAR, LINE = 20, 8, 10, 8, 40, 110
UNBROKEN = "\N{NO-BREAK SPACE}"
SKEWED = 16  # longest over shortest row; above this, bins grow with the length


def inspect(
    data: str,
    given: Mapping[str, Any],
    *,
    measure: bool = True,
    out: Path | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Iterator[str]:
    """Yields the lines about DATA, each as soon as it is known.

    given    settings of `config.DATA_OPTIONS` that differ from the defaults
    measure  run two training steps
    out      where a picture of a few rows goes

    Raises InputError for data that cannot be read, and, before any work, for an `out` that cannot be written.
    """
    if out is not None:
        require_place(out, f"--out {out}", SUFFIXES)
    config = resolve([{"data": data}, given])
    parts = load(data, say=say, **config.data_options()).parts()
    train = parts["train"]
    preprocessing = Preprocessing.fit(replace(train, missing=None))
    for name, rows in parts.items():
        fitted = preprocessing if rows is train else Preprocessing.fit(replace(rows, missing=None))
        yield f"{data}, {name}" if len(parts) > 1 else data
        yield from _table(_described(rows, fitted, config.kind))
        if train.classes and (new := new_classes(rows, train)):
            yield f"  classes that the training rows have not: {_listed([*map(_name, new)], MOST_CLASSES)}"
        yield ""
    suggestion = suggest(train, given, [rows for rows in parts.values() if rows is not train])
    yield "suggested, by rules of thumb"
    yield from _table(
        {as_flag(name, suggestion.settings[name]): why for name, why in suggestion.reasons.items()}
    )
    yield ""
    if measure:
        say("measuring two training steps; --no-measure leaves that out")
        config = resolve([{"data": data}, given, suggestion.settings])
        measured = measure_step(config, train, preprocessing, "validation" in parts)
        yield f"measured: {config.method}, {measured.phase} phase, {measured.device}"
        yield from _table(_costs(measured))
        yield ""
    yield train_command(data, {**given, **suggestion.settings})
    if "epochs" not in suggestion.settings:
        yield "and beside it, to see what the auxiliary loss is worth, as many epochs without it:"
        yield train_command(data, {**given, **without_auxiliary(suggestion.settings, train)})
    if out is not None:
        write_figure(out, train)
        say(f"a few rows as a picture in {out}")


def _described(rows: Sequences, fitted: Preprocessing, kind: str) -> dict[str, str]:
    lines = {"rows": f"{len(rows):,}", "elements": describe_elements(rows) + kind_hint(rows, kind)}
    if rows.columns:
        lines["columns"] = _listed([*map(_name, rows.columns)], MOST_CHANNELS)
    if rows.is_symbols:
        lines["symbols"] = _symbols(rows)
    else:
        spreads = np.where(varying(rows, fitted), fitted.std, 0.0).tolist()
        pairs = [f"{mean:.4g} ± {std:.4g}" for mean, std in zip(fitted.mean, spreads, strict=True)]
        title = "mean ± std" + (" of each channel" if len(pairs) > 1 else "")
        lines["values"] = f"{title}: {_listed(pairs, MOST_CHANNELS)}"
    if rows.picture is not None:
        lines["picture"] = f"{rows.picture.height} × {rows.picture.width}"
        if rows.permutation is None:
            lines["picture"] += ", read line by line"
    if rows.permutation is not None:
        lines["order"] = f"{rows.permutation.name}: all rows are read in this one random order"
    counts = rows.class_counts()
    shares = [f"{name}: {count:,} ({100 * count / max(counts.sum(), 1):.1f} %)"
              for name, count in zip(map(_name, rows.classes), counts.tolist(), strict=True)]  # fmt: skip
    lines["classes"] = f"{len(shares)} in all; {_listed(shares, MOST_CLASSES)}" if shares else "none"
    unlabelled = int((rows.labels < 0).sum())
    if len(shares) > 1 and counts.max() == 1:
        lines["  note"] = (
            "every class has one row: is that the label column? BackcastRegressor predicts numbers"
        )
    lines["unlabelled"] = f"{unlabelled:,} {plural(unlabelled, 'row')}" if unlabelled else "none"
    lines["missing"] = "none"
    if rows.missing is not None:
        total, *place = rows.missing
        lines["missing"] = f"{total:,} {plural(total, 'value')}; the first in {rows.place(*place)}"
    low, high = int(rows.lengths.min()), int(rows.lengths.max())
    lines["lengths"] = f"{low:,} {plural(low, 'step')} each"
    if low < high:
        lines["lengths"] = f"{low:,} to {high:,} steps, median {np.median(rows.lengths):,.0f}"
        lines |= _histogram(rows)
    return lines


def _symbols(rows: Sequences) -> str:
    counts = count_symbols(rows)
    order = np.argsort(-counts, kind="stable")[:MOST_SYMBOLS]
    shown = [f"{_shown(rows, i)} {100 * counts[i] / counts.sum():.1f} %" for i in order if counts[i]]
    return f"{int((counts > 0).sum()):,} different; the commonest: {_listed(shown, MOST_SYMBOLS)}"


def _shown(rows: Sequences, number: int) -> str:
    name = rows.symbols[number]
    if rows.kind == "bytes":
        return repr(chr(name)) if 32 <= name < 127 else f"0x{name:02x}"
    return repr(name)


def _name(name: Any) -> str:
    """As a terminal may have it."""
    return visible(str(name))


def _histogram(rows: Sequences) -> dict[str, str]:
    """The rows in each of at most 8 ranges of lengths: of equal width, or growing where lengths are far apart."""
    low, high = int(rows.lengths.min()), int(rows.lengths.max())
    space = np.geomspace if high > SKEWED * low else np.linspace
    edges = np.unique(np.round(space(low, high + 1, MOST_BINS + 1)).astype(np.int64))
    counts, _ = np.histogram(rows.lengths, edges)
    found = {}
    for first, end, count in zip(edges.tolist(), edges[1:].tolist(), counts.tolist(), strict=False):
        steps = f"{first:,}" if end == first + 1 else f"{first:,}–{end - 1:,}"
        bar = "#" * -(-BAR * count // int(counts.max()))
        found[f"  {steps}"] = f"{bar} {count:,}" if bar else "0"
    return found


def _costs(measured: Measured) -> dict[str, str]:
    epoch = measured.seconds * measured.steps_per_epoch
    return {
        "a step": f"{_time(measured.seconds)}, forward and backward ({measured.rows} {plural(measured.rows, 'row')} of {measured.steps:,} {plural(measured.steps, 'step')})",
        "an epoch": f"{measured.steps_per_epoch:,} {plural(measured.steps_per_epoch, 'step')}, about {_time(epoch)}",
        "memory": f"{measured.kept_bytes / 1e6:,.1f} MB kept for the backward pass"
        + ("; longer rows would need no more" if measured.bounded else ""),
    }


def _time(seconds: float) -> str:
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"


def _listed(words: list[str], most: int) -> str:
    more = [f"… and {len(words) - most:,} more"] if len(words) > most else []
    return ", ".join(word.replace(" ", UNBROKEN) for word in [*words[:most], *more])


def _table(lines: Mapping[str, str]) -> Iterator[str]:
    """Titles, with their texts beside them; a long text continues on the lines below."""
    width = max(map(len, lines)) + 4
    for title, text in lines.items():
        wrapped = textwrap.wrap(text, LINE - width, break_long_words=False, break_on_hyphens=False)
        for number, line in enumerate(wrapped):
            yield f"{'' if number else '  ' + title:<{width}}{line}".replace(UNBROKEN, " ")
