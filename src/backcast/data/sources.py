"""What DATA may be: a built-in name or a file of one's own."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from backcast.data.sequences import Sequences, Splits
from backcast.errors import InputError

FILE_SUFFIXES = (".npz", ".npy")


@dataclass(frozen=True)
class Source:
    """A built-in data set: what it is, and how to load it (data_dir, limit, seed)."""

    description: str
    load: Callable[[Path | None, int | None, int], Splits]


def _digits(data_dir: Path | None, limit: int | None, seed: int) -> Splits:
    from backcast.data.digits import load_digits_silence

    return load_digits_silence(limit)


def _images(name: str) -> Callable[[Path | None, int | None, int], Splits]:
    def load(data_dir: Path | None, limit: int | None, seed: int) -> Splits:
        from backcast.data.images import load_images, permuted

        splits = load_images("mnist" if name == "pmnist" else name, data_dir, limit)
        return permuted(splits, seed) if name == "pmnist" else splits

    return load


BUILT_IN = {
    "digits-silence": Source(
        "8×8 digits, then 64 blank steps: T = 128, 1 channel, 10 classes (embedded)", _digits
    ),
    "mnist": Source("MNIST pixel by pixel: T = 784, 1 channel, 10 classes", _images("mnist")),
    "pmnist": Source(
        "MNIST in one random order of the pixels that follows from --permutation-seed", _images("pmnist")
    ),
    "cifar10": Source("CIFAR-10 pixel by pixel: T = 1,024, 3 channels, 10 classes", _images("cifar10")),
}


def load(
    data: str,
    *,
    data_dir: Path | None = None,
    limit: int | None = None,
    kind: str = "auto",
    missing_label: str | None = None,
    permutation_seed: int = 0,
    labels: bool = True,
) -> Splits:
    """The rows of DATA; a file's rows are all in `train`.

    data              a built-in name (`BUILT_IN`) or the path of a `.npz` or `.npy` file
    data_dir          a local copy of the built-in sets, in the Hub's layout
    limit             only the first so many training rows
    labels            False: leave labels unread
    kind, missing_label   see `arrays.from_arrays`; for files only

    Raises InputError for what does not exist or cannot be read.
    """
    if data in BUILT_IN:
        splits = BUILT_IN[data].load(data_dir, limit, permutation_seed)
        return splits if labels else Splits(splits.train.without_labels(), splits.test)
    path = Path(data)
    if path.is_dir():
        raise InputError(f"{data}: is a folder; a .npz file or one of {', '.join(BUILT_IN)} is expected")
    if not path.exists():
        near = difflib.get_close_matches(data, BUILT_IN, n=1)
        hint = f"did you mean {near[0]}?" if near else f"built-in sets: {', '.join(BUILT_IN)}"
        raise InputError(f"{data}: there is no such file or data set; {hint}")
    if path.suffix not in FILE_SUFFIXES:
        raise InputError(
            f"{data}: the ending {path.suffix or '(none)'} is not known; save it as .npz with x and y"
        )
    from backcast.data.arrays import read_npz

    rows = read_npz(path, kind=kind, missing_label=missing_label, labels=labels)
    return Splits(rows if limit is None else rows.select(np.arange(min(limit, len(rows)))))


def split_validation(rows: Sequences, share: float, seed: int) -> tuple[Sequences, Sequences | None]:
    """Training and validation rows, by class and seed: `share` of each class, rounded, is held out.

    Rows without a label stay in training. None where nothing is held out: share 0, or no label at all.
    """
    from backcast import rng

    held: list[np.ndarray] = []
    for number in range(len(rows.classes)):
        members = np.flatnonzero(rows.labels == number)
        order = members[rng.permutation(len(members), seed, "validation", number)]
        count = min(int(np.floor(len(members) * share + 0.5)), max(len(members) - 1, 0))
        held.append(order[:count])
    validation = np.sort(np.concatenate(held)) if held else np.zeros(0, np.int64)
    if not len(validation):
        return rows, None
    training = np.setdiff1d(np.arange(len(rows)), validation)
    return rows.select(training), rows.select(validation)
