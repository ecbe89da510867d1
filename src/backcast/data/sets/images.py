"""MNIST, permuted MNIST and CIFAR-10, in the Parquet layout of the Hugging Face Hub."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from backcast import rng
from backcast.data.forms.table_files import read_tables
from backcast.data.reading import Reading
from backcast.data.sequences import Permutation, Sequences, Splits
from backcast.data.sets.builtin import split_paths
from backcast.errors import InputError


@dataclass(frozen=True)
class ImageSource:
    """Where a set of pictures lives."""

    repository: str  # on the Hugging Face Hub
    folder: str  # inside the repository
    channels: int
    classes: tuple[str | int, ...]


CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
SOURCES = {
    "mnist": ImageSource("ylecun/mnist", "mnist", 1, tuple(range(10))),
    "cifar10": ImageSource("uoft-cs/cifar10", "plain_text", 3, CIFAR10),
}


def load_images(name: str, data_dir: Path | None, side: int | None = None) -> Splits:
    """The training and test pictures of `name`, one pixel per step, line by line.

    data_dir  a folder with `name`/train-*.parquet and test-*.parquet in it, or `name` itself; None: the Hub
    side      scaled to side × side; None: as they are
    """
    return Splits(_read(name, "train", data_dir, side), _read(name, "test", data_dir, side))


def permuted(splits: Splits, seed: int) -> Splits:
    """The same rows, to be read in one random order of the pixels, determined by `seed` (pMNIST).

    "pMNIST" names many permutations; this one depends only on the seed, and its checksum is kept in the run.
    """
    length = int(splits.train.lengths[0])
    permutation = Permutation(f"pmnist seed {seed}", rng.permutation(length, seed, "pmnist"))
    test = splits.test
    return replace(
        splits,
        train=replace(splits.train, permutation=permutation),
        test=None if test is None else replace(test, permutation=permutation),
    )


def _read(name: str, split: str, data_dir: Path | None, side: int | None) -> Sequences:
    source = SOURCES[name]
    files = split_paths(name, source.repository, source.folder, split, data_dir)
    rows = read_tables(files, Reading(kind="real", side=side), f"{name} {split}", source.classes)
    if rows.channels != source.channels:
        raise InputError(f"{rows.name}: pictures of {rows.channels} channels; {name} has {source.channels}")
    if (rows.labels < 0).any() or rows.classes != tuple(sorted(source.classes)):
        raise InputError(
            f"{files[0]}: `label` does not hold the numbers of all {len(source.classes)} classes"
        )
    return rows
