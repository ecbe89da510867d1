"""MNIST, permuted MNIST and CIFAR-10, in the Parquet layout of the Hugging Face Hub."""

from __future__ import annotations

import io
import logging
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from PIL import Image, UnidentifiedImageError

from backcast import rng
from backcast.data.sequences import Permutation, Picture, Sequences, Splits
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


def load_images(name: str, data_dir: Path | None, limit: int | None = None) -> Splits:
    """The training and test pictures of `name`, one pixel a step, line by line.

    data_dir  a folder with `name`/train-*.parquet and test-*.parquet in it, or that folder itself; None: the Hub
    limit     read only the first so many training rows
    """
    source = SOURCES[name]
    train = _read(name, "train", _files(name, "train", data_dir), limit)
    test = _read(name, "test", _files(name, "test", data_dir), None)
    for split in (train, test):
        if split.channels != source.channels:
            raise InputError(
                f"{split.name}: pictures of {split.channels} channels; {name} has {source.channels}"
            )
    return Splits(train, test)


def permuted(splits: Splits, seed: int) -> Splits:
    """The same rows, to be read in one random order of the pixels that follows from `seed` (pMNIST).

    "pMNIST" names many permutations; this one is keyed by the seed alone, and its checksum is kept in the run.
    """
    length = int(splits.train.lengths[0])
    permutation = Permutation(f"pmnist seed {seed}", rng.permutation(length, seed, "pmnist"))
    test = splits.test
    return replace(
        splits,
        train=replace(splits.train, permutation=permutation),
        test=None if test is None else replace(test, permutation=permutation),
    )


def _files(name: str, split: str, data_dir: Path | None) -> list[Path]:
    source = SOURCES[name]
    if data_dir is None:
        return [_from_hub(name, split)]
    if not data_dir.is_dir():
        raise InputError(f"--data-dir {data_dir}: there is no such folder")
    for folder in (data_dir / name, data_dir / name / source.folder, data_dir, data_dir / source.folder):
        files = sorted(folder.glob(f"{split}-*.parquet"))
        if files:
            return files
    raise InputError(
        f"--data-dir {data_dir}: there is no {name}/{split}-*.parquet in it; "
        f"download the data set {source.repository} from the Hugging Face Hub into {data_dir / name}"
    )


def _from_hub(name: str, split: str) -> Path:
    from huggingface_hub import hf_hub_download

    source = SOURCES[name]
    file = f"{source.folder}/{split}-00000-of-00001.parquet"
    logger = logging.getLogger("huggingface_hub")
    level = logger.level
    logger.setLevel(logging.ERROR)  # its retries; what goes wrong in the end is said once, below
    try:
        return Path(hf_hub_download(source.repository, file, repo_type="dataset"))
    except Exception as error:  # the hub's client raises many kinds; each means that the data are not here
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(
            f"{name}: could not fetch {file} of the data set {source.repository} from the Hugging Face Hub ({reason}); "
            f"where there is no network, put the file into DIR/{name}/ and say --data-dir DIR"
        ) from None
    finally:
        logger.setLevel(level)


def _read(name: str, split: str, files: list[Path], limit: int | None) -> Sequences:
    """Decodes the pictures of `files` into one uint8 array, (pixels of all rows, channels)."""
    pictures: list[np.ndarray] = []
    labels: list[int] = []
    for file in files:
        try:
            parquet = pq.ParquetFile(file)
            columns = parquet.schema_arrow.names
            column = next((candidate for candidate in ("image", "img") if candidate in columns), None)
            if column is None or "label" not in columns:
                raise InputError(
                    f"{file}: it has the columns {', '.join(columns)}; `image` and `label` are needed"
                )
            for group in parquet.iter_batches(columns=[column, "label"]):
                for cell in group.column(column):
                    pictures.append(_decode(cell.as_py(), file, len(pictures)))
                labels.extend(group.column("label").to_pylist())
                if limit is not None and len(pictures) >= limit:
                    break
        except (OSError, ValueError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"{file}: cannot be read as Parquet: {error}") from None
    pictures, labels = pictures[:limit], labels[:limit]
    if not pictures:
        raise InputError(f"{files[0]}: there are no rows in it")
    height, width, channels = pictures[0].shape
    for row, picture in enumerate(pictures):
        if picture.shape != pictures[0].shape:
            raise InputError(
                f"{name} {split}: picture {row} is {picture.shape}, the first is {pictures[0].shape}"
            )
        if labels[row] is None or not 0 <= labels[row] < len(SOURCES[name].classes):
            raise InputError(
                f"{name} {split}: picture {row} has the label {labels[row]}, which is none of its classes"
            )
    count, steps = len(pictures), height * width
    return Sequences(
        name=f"{name} {split}",
        values=np.stack(pictures).reshape(count * steps, channels),
        starts=np.arange(count, dtype=np.int64) * steps,
        lengths=np.full(count, steps, np.int64),
        labels=np.array(labels, np.int64),
        classes=SOURCES[name].classes,
        ids=np.arange(count),
        picture=Picture(height, width),
    )


def _decode(cell: dict[str, bytes] | None, file: Path, row: int) -> np.ndarray:
    """One picture as (height, width, channels) uint8."""
    try:
        with Image.open(io.BytesIO((cell or {})["bytes"])) as image:
            grey = image.mode in ("1", "L", "I", "I;16")
            pixels = np.asarray(image.convert("L" if grey else "RGB"))
    except (KeyError, TypeError, UnidentifiedImageError, OSError) as error:
        raise InputError(f"{file}: row {row} holds no readable picture ({error})") from None
    return pixels[:, :, None] if grey else pixels
