"""Holding rows out, drawing some of them, and taking labels away."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from backcast import rng
from backcast.data.sequences import Sequences


def split_validation(rows: Sequences, share: float, seed: int) -> tuple[Sequences, Sequences | None]:
    """Training and validation rows, by class and seed: `share` of each class, rounded, is held out.

    Rows with targets count as one class. Rows without a label stay in training. The second is None where nothing is
    held out: share 0, or no label at all.
    """
    validation = _of_each_class(rows, share, seed, "validation", keep=1)
    if not len(validation):
        return rows, None
    training = np.setdiff1d(np.arange(len(rows)), validation)
    return rows.select(training), rows.select(validation)


def draw_rows(rows: Sequences, count: int) -> Sequences:
    """At most `count` rows, drawn at random (files are often sorted by class), kept in order; no seed decides which."""
    if count >= len(rows):
        return rows
    return rows.select(np.sort(rng.permutation(len(rows), "limit")[:count]))


def keep_labels(rows: Sequences, share: float, seed: int) -> Sequences:
    """The same rows; `share` of each class, rounded, but at least one row of it, keeps its labels, others have none."""
    if share == 1.0:
        return rows
    kept = _of_each_class(rows, share, seed, "labels", least=1)
    labels = np.full(len(rows), -1, np.int64)
    labels[kept] = rows.labels[kept]
    return replace(rows, labels=labels)


def _of_each_class(
    rows: Sequences, share: float, seed: int, purpose: str, least: int = 0, keep: int = 0
) -> NDArray[np.int64]:
    """`share` of each class: at least `least` of its rows, at most all but `keep`; in the rows' order."""
    found: list[NDArray[np.int64]] = [np.zeros(0, np.int64)]
    for number, members in enumerate(_members(rows)):
        order = members[rng.permutation(len(members), seed, purpose, number)]
        count = max(int(np.floor(len(members) * share + 0.5)), least)
        found.append(order[: max(min(count, len(members) - keep), 0)])
    return np.sort(np.concatenate(found))


def _members(rows: Sequences) -> list[NDArray[np.int64]]:
    """The rows of each class in order, sorted once: there may be as many classes as rows. Those with targets are one class."""
    if rows.targets is not None:
        return [np.flatnonzero(rows.labelled)]
    by_class = np.argsort(rows.labels, kind="stable")
    borders = np.searchsorted(rows.labels[by_class], np.arange(len(rows.classes) + 1))
    return np.split(by_class, borders)[1:-1]
