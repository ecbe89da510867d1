"""Stanford Dogs (Khosla et al. 2011), pixel by pixel, from its official layout: `Images` and two lists."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from pathlib import Path

from backcast.data.forms.cells import Pictures
from backcast.data.sequences import Sequences, Splits
from backcast.data.store.cache import import_rows
from backcast.data.store.writer import RowWriter
from backcast.errors import InputError

NAME = "stanford-dogs"
SITE = "http://vision.stanford.edu/aditya86/ImageNetDogs"
SMALLEST, LARGEST, DEFAULT = 10, 128, 40  # sides; the paper's go from 40 to 128
PICTURE = re.compile(r"(n\d{8}-([^/\\\0]+))/[^/\\\0]+\.jpe?g", re.IGNORECASE)
"""Folder and breed of a path in the lists. No match leads out of `Images`."""
REMEDY = f"fetch images.tar and lists.tar from {SITE}, unpack both into DIR/{NAME} and say --data-dir DIR"


@dataclass(frozen=True)
class Listed:
    """One picture of a list: its path below `Images`, and its breed."""

    path: str
    breed: str


def load_dogs(data_dir: Path | None, side: int | None) -> Splits:
    """Training and test pictures, RGB, scaled to side × side, one pixel per step, line by line; classes are the breeds.

    data_dir  DIR with `Images/nXXXXXXXX-breed/*.jpg`, and `train_list.mat` and `test_list.mat` in it or in `lists`; or
              the parent of such a folder that is called stanford-dogs
    side      10 to 128; None: 40, the paper's smallest

    Raises InputError for what is missing or damaged, which says what to fetch.
    """
    side = DEFAULT if side is None else side
    if not SMALLEST <= side <= LARGEST:
        raise InputError(f"--side {side}: {NAME} is read with sides from {SMALLEST} to {LARGEST}")
    folder = _folder(data_dir)
    lists = {split: _list_file(folder, split) for split in ("train", "test")}
    numbers: dict[str, int] = {}  # of each breed, in both lists
    listed = {split: _read_list(file, numbers) for split, file in lists.items()}
    rows = {split: _read(split, folder, lists[split], listed[split], side) for split in lists}
    return Splits(rows["train"], rows["test"])


def _folder(data_dir: Path | None) -> Path:
    """The folder with `Images` in it."""
    if data_dir is None:
        raise InputError(f"{NAME}: is not on the Hugging Face Hub; {REMEDY}")
    found = next((one for one in (data_dir / NAME, data_dir) if (one / "Images").is_dir()), None)
    if found is None:
        raise InputError(f"--data-dir {data_dir}: there is no {NAME}/Images in it; {REMEDY}")
    return found


def _list_file(folder: Path, split: str) -> Path:
    name = f"{split}_list.mat"
    found = next((place / name for place in (folder, folder / "lists") if (place / name).is_file()), None)
    if found is None:
        raise InputError(f"--data-dir: there is no {name} in {folder}, nor in {folder / 'lists'}; {REMEDY}")
    return found


def _read_list(file: Path, numbers: dict[str, int]) -> list[Listed]:
    """The pictures of one list, in its order. A breed has one number in all lists; `numbers` collects them."""
    paths, labels = _variables(file)
    breeds = {number: breed for breed, number in numbers.items()}
    found = []
    for i, (path, label) in enumerate(zip(paths, labels, strict=True)):
        match = PICTURE.fullmatch(path)
        if match is None:
            raise InputError(
                f"{file}: `file_list`, entry {i + 1} is {path[:80]!r}, not nXXXXXXXX-breed/name.jpg below Images"
            )
        breed = match[2]
        number, known = numbers.setdefault(breed, label), breeds.setdefault(label, breed)
        if number != label or known != breed:
            before = f"{known} had that number" if known != breed else f"{breed} had {number}"
            raise InputError(
                f"{file}: `labels`, entry {i + 1} is {label} for {match[1]}, but {before} before; "
                f"the list is damaged: fetch lists.tar again from {SITE}"
            )
        found.append(Listed(path, breed))
    return found


def _variables(file: Path) -> tuple[list[str], list[int]]:
    """`file_list` and `labels` of a .mat file, equally long."""
    from scipy.io import loadmat

    try:
        content = loadmat(io.BytesIO(file.read_bytes()), variable_names=("file_list", "labels"))
    except Exception as error:  # scipy's reader raises all kinds of errors for damaged files
        raise InputError(
            f"{file}: cannot be read as a .mat file ({' '.join(str(error).split())[:80]}); "
            f"fetch lists.tar again from {SITE}"
        ) from None
    try:
        paths = [str(cell.item()) for cell in content["file_list"].ravel()]
        labels = [int(number) for number in content["labels"].ravel()]
        if not paths or len(paths) != len(labels) or min(labels) < 1:
            raise ValueError
    except (KeyError, ValueError, TypeError, AttributeError, OverflowError):
        raise InputError(
            f"{file}: does not hold `file_list`, a cell array of paths, and `labels`, as many numbers from 1; "
            f"fetch lists.tar again from {SITE}"
        ) from None
    return paths, labels


def _read(split: str, folder: Path, list_file: Path, listed: list[Listed], side: int) -> Sequences:
    name, images = f"{NAME} {split}", folder / "Images"
    files = [images / one.path for one in listed]
    missing = [file for file in files if not file.is_file()]
    if missing:
        raise InputError(
            f"{missing[0]}: is in {list_file.name} but not there ({len(missing)} of {len(files)} pictures are missing); {REMEDY}"
        )
    pictures = Pictures(side, rgb=True)

    def read(writer: RowWriter) -> None:
        for one, file in zip(listed, files, strict=True):
            writer.add(
                pictures.decode(file.read_bytes(), str(images), one.path), one.breed, one.path, one.path
            )

    options = {"form": NAME, "side": side}
    return import_rows(
        name, [list_file, *files], options, read, kind="real", dtype="u1", picture=lambda: pictures.picture
    )
