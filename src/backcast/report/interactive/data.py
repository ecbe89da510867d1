"""Everything the page shows, as JSON: what is said once, and then row by row."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from backcast.config import Config
from backcast.legible import shortened, visible
from backcast.report.interactive.answers import Answer, Array, ask
from backcast.report.interactive.chosen import Shown
from backcast.report.interactive.detail import (
    AHEAD,
    CHANNELS,
    LIKELIEST,
    WINDOW,
    Detail,
    Steps,
    choose_steps,
)
from backcast.report.interactive.names import UNKNOWN, Names
from backcast.report.interactive.packing import pack, pack_codes, pack_errors, pack_scaled
from backcast.report.memory import EXPLAINED, MOST_ERROR
from backcast.report.reconstructions import in_units
from backcast.report.results import RunResult
from backcast.report.symbols import UNKNOWN as UNKNOWN_SIGN
from backcast.report.symbols import legend, symbol_names

LONGEST_NAME = 60
LONGEST_SETTINGS = 400
CURVE_POINTS = 200
MARGIN = 0.25
"""Of the truth's range, above and below it: how far a line may leave it."""


def page_data(shown: list[Shown], rows: list[list[int]], detail: Detail) -> dict[str, Any]:
    """All that the page's scripts read.

    Arrays are as `packing` writes them; every script that reads one says what it holds. Symbols and classes are
    numbers into `symbols` and `classes`, which name only those that occur.
    """
    first = shown[0].run
    preprocessing, picture = first.model.preprocessing, first.model.picture
    order = preprocessing.permutation
    symbols, classes = Names(), Names()
    described = [_row(shown, row, detail, symbols, classes) for row in rows[: detail.rows]]
    names = [
        UNKNOWN_SIGN if name is UNKNOWN else symbol_names((name,), preprocessing.kind)[0] for name in symbols
    ]
    kind = "text" if preprocessing.symbols else "line" if picture is None else "picture"
    return {
        "kind": kind,
        "mostError": MOST_ERROR,
        "limit": 1 - EXPLAINED,
        "letters": preprocessing.kind == "characters",
        "signs": legend(names),
        "channels": [_name(name) for name in first.measured.channel_names[:CHANNELS]],
        "allChannels": first.measured.channels,
        "picture": None if picture is None else {
            "height": picture.height,
            "width": picture.width,
            "order": None if order is None else pack(np.array(order), "u4"),
        },
        "groups": [_group(each) for each in shown],
        "rows": described,
        "symbols": names,
        "classes": [_name(name) for name in classes],
    }  # fmt: skip


def _group(shown: Shown) -> dict[str, Any]:
    """A group's data; of its memory curve, as many points as can be seen."""
    run, curve = shown.run, shown.run.memory
    some = np.unique(np.linspace(0, len(curve.distances) - 1, CURVE_POINTS).round().astype(int))
    network, name = run.model.network, _name(shown.group.name)
    return {
        "name": name,
        "colour": shown.look.colour,
        "dashes": " ".join(map(str, shown.look.dashes)) or "none",
        "method": run.config.method,
        "seed": run.config.seed,
        "seeds": len(shown.group.runs),
        "accuracy": run.accuracy,
        "remembers": run.memory.remembers_steps,
        "distances": pack(curve.distances[some], "u4"),
        "error": pack_errors(curve.error[some]),
        "decoder": network.decoder is not None,
        "predictor": network.predictor is not None,
        "segment": run.config.segment_length,
        "scale": shown.group.scale,
        "settings": shortened(shown.group.settings, LONGEST_SETTINGS),
        "doubts": _doubts(run.config, name),
    }


def _doubts(config: Config, name: str) -> list[str]:
    """Why its network may have seen the rows that it held out: a sentence for whatever else it learned from."""
    doubts = []
    if config.from_run is not None:
        doubts.append(
            f"{name} began with the network of {_name(config.from_run)}, which may have been trained on them."
        )
    if config.unlabeled is not None:
        doubts.append(
            f"{name} also learned from the rows of {_name(config.unlabeled)}, which may be the same."
        )
    return doubts


def _row(
    shown: list[Shown], row: list[int], detail: Detail, symbols: Names, classes: Names
) -> dict[str, Any]:
    measured, which = shown[0].run.measured, row[0]
    steps = choose_steps(shown, int(measured.lengths[which]), detail)
    label = int(measured.labels[which])
    truth = _truth(shown[0], which, steps)
    if measured.is_symbols:
        truth, low, high = symbols.codes(truth, _symbols(shown[0].run)), np.zeros(0), np.zeros(0)
    else:
        low, high = _range(truth, shown[0].run.model.picture is not None)
    return {
        "id": _name(str(measured.ids[which])),
        "label": None if label < 0 else classes.code(measured.classes[label]),
        "steps": int(measured.lengths[which]),
        "places": pack(steps.places, "u4"),
        "anchors": pack(steps.anchors, "u4"),
        "drawn": pack(steps.drawn, "u4"),
        "low": low.tolist(),
        "high": high.tolist(),
        "truth": _elements(truth, low, high),
        "answers": [
            _answers(each.run, own, steps, symbols, classes, low, high)
            for each, own in zip(shown, row, strict=True)
        ],
    }


def _truth(shown: Shown, which: int, steps: Steps) -> Array:
    """The elements that are drawn, in the order in which they are read: (D, C) as the network reads them, a missing
    one as the mean; or (D,) symbols, each by its own name even where the model does not know it."""
    rows, preprocessing = shown.run.measured, shown.run.model.preprocessing
    if rows.is_symbols:
        order = preprocessing.permutation
        drawn = steps.drawn if order is None else np.array(order)[steps.drawn]
        return np.asarray(rows.row(which)[drawn], np.float64)
    read = preprocessing.batch(rows, np.array([which])).take(steps.drawn[None, None])[0]
    return in_units(shown.run.model, read.numpy().astype(np.float64))[:, :CHANNELS]


def _symbols(run: RunResult) -> list[Any]:
    """The measured rows' symbols, by the model's names (perhaps numbers for words); unknown ones by their own."""
    vocabulary = run.model.preprocessing.vocabulary
    codes = run.model.preprocessing.codes(run.measured).tolist()
    names = zip(codes, run.measured.symbols, strict=True)
    return [vocabulary[code] if code < len(vocabulary) else name for code, name in names]


def _range(truth: Array, picture: bool) -> tuple[Array, Array]:
    """For each channel (C,), the least and the largest number that the page can show."""
    low, high = truth.min(axis=0), truth.max(axis=0)
    if picture:  # one scale for all channels, or colours would change
        return np.full_like(low, low.min()), np.full_like(high, high.max())
    margin = np.where(high > low, MARGIN * (high - low), 1.0)
    return low - margin, high + margin


def _elements(values: Array, low: Array, high: Array) -> dict[str, str]:
    """Real vectors (n, C) on the page's scale, or symbols (n,) by the page's numbers."""
    return pack_codes(values) if values.ndim == 1 else pack_scaled(values, low, high)


def _answers(
    run: RunResult, which: int, steps: Steps, symbols: Names, classes: Names, low: Array, high: Array
) -> dict[str, Any]:
    """What a run says of one row: the likeliest classes at every place (P × LIKELIEST), the likeliest first, with their
    probabilities; that of the class whose line is drawn (P); and its reconstructions and predictions.

    Drawn is the line of the true class; of a row without a label, of the one that is named at its end.
    """
    found = ask(run, which, steps)
    result: dict[str, Any] = dict.fromkeys(("classes", "probabilities", "followed", "past", "future"))
    if found.probabilities is not None:
        names = [str(name) for name in run.model.classes]
        label = int(run.measured.labels[which])
        said, kept = _likeliest(found.probabilities)
        followed = names.index(str(run.measured.classes[label])) if label >= 0 else int(said[-1, 0])
        result["classes"] = pack_codes(classes.codes(said.astype(np.float64), names))
        result["probabilities"] = pack_scaled(kept, 0.0, 1.0)
        result["followed"] = pack_scaled(found.probabilities[:, followed].astype(np.float64), 0.0, 1.0)

    before = np.searchsorted(steps.drawn, steps.anchors)
    behind = np.searchsorted(steps.drawn, steps.anchors + run.config.segment_length, side="right")
    start = np.zeros_like(before)
    if run.model.preprocessing.symbols:
        start, behind = np.maximum(before - WINDOW, 0), np.minimum(behind, before + AHEAD)

    def packed(answer: Answer, start: NDArray[np.int64], stop: NDArray[np.int64]) -> dict[str, Any]:
        """From anchor i the elements start[i] .. stop[i]-1 of those that are drawn, one anchor after the other."""
        lines = zip(answer.values[:, steps.drawn], start, stop, strict=True)
        values = np.concatenate([line[a:b] for line, a, b in lines])
        if values.ndim == 1:
            values = symbols.codes(values, (*run.model.preprocessing.vocabulary, UNKNOWN))
        return {
            "start": pack(start, "u4"),
            "count": pack(stop - start, "u4"),
            "values": _elements(values if values.ndim == 1 else values[:, :CHANNELS], low, high),
            "errors": pack_errors(answer.errors),
            "overall": pack(answer.overall, "f4"),
            "reach": answer.reach,
        }

    if found.past is not None:
        result["past"] = packed(found.past, start, before)
    if found.future is not None:
        result["future"] = packed(found.future, before, behind)
    return result


def _likeliest(probabilities: NDArray[np.float32]) -> tuple[NDArray[np.int64], Array]:
    """The likeliest classes at each place (P, at most LIKELIEST), the likeliest first, and their probabilities."""
    said = np.argsort(-probabilities, axis=1, kind="stable")[:, :LIKELIEST]
    return said, np.take_along_axis(probabilities, said, axis=1).astype(np.float64)


def _name(text: str) -> str:
    return shortened(visible(text), LONGEST_NAME)
