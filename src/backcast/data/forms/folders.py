"""A folder with a sub-folder per class: texts, pictures, WAV sounds, arrays or any bytes, one file per sequence."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from backcast.data.forms.arrays import read_array, stored
from backcast.data.forms.cells import Pictures, Sounds
from backcast.data.reading import Reading
from backcast.data.sequences import Sequences
from backcast.data.store.cache import import_rows
from backcast.data.store.writer import Elements, RowWriter
from backcast.errors import InputError

FORMS = {
    **dict.fromkeys((".txt", ".text", ".md"), "text"),
    **dict.fromkeys((".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff"), "pictures"),
    ".wav": "sounds",
    ".npy": "arrays",
}
LONGEST_FILE = 2 << 30  # bytes; one file is one row, and is read whole
DTYPES = {"text": np.float64, "pictures": np.uint8, "bytes": np.uint8}


def read_folder(folder: Path, reading: Reading) -> Sequences:
    """Every file is a row: its class is its sub-folder (none for a file in `folder` itself), its id the path.

    What the files are follows from their endings and must be the same throughout; files with unknown endings are read
    as bytes, or for kind `characters` as texts. Hidden files are left out. Raises InputError, naming the file, for what
    cannot be read.
    """
    files = files_of(folder)
    if not files:
        raise InputError(f"{folder}: there are no files in it, nor in its sub-folders")
    form = _form(files, reading.kind)
    pictures, sounds = Pictures(reading.side), Sounds()

    def decode(file: Path) -> Elements:
        if file.stat().st_size > LONGEST_FILE:
            raise InputError(f"{file}: is larger than {LONGEST_FILE >> 30} GB, too much for one row")
        if form == "arrays":
            return read_array(file)
        content = file.read_bytes()
        if form == "text":
            return _text(content, file)
        if form == "pictures":
            return pictures.decode(content, str(folder), str(file.relative_to(folder)))
        return (
            sounds.decode(content, str(folder), str(file.relative_to(folder)))
            if form == "sounds"
            else content
        )

    dtype = DTYPES.get(form) or _first_dtype(files[0], decode)

    def read(writer: RowWriter) -> None:
        for file in files:
            path = file.relative_to(folder)
            try:
                elements = decode(file)
            except OSError as error:
                raise InputError(f"{file}: cannot be read: {error.strerror}") from None
            writer.add(
                elements, path.parts[0] if len(path.parts) > 1 else None, path.as_posix(), path.as_posix()
            )

    options = {
        "form": f"folder of {form}",
        "files": [file.relative_to(folder).as_posix() for file in files],
        "side": reading.side,
    }
    return import_rows(
        str(folder), files, options, read,
        kind=reading.kind, dtype=dtype, fill=reading.fill_missing, picture=lambda: pictures.picture,
    )  # fmt: skip


def files_of(folder: Path) -> list[Path]:
    """All files below `folder` that are not hidden, in the order of their paths; links to folders are followed.

    Raises InputError for a name that is no text.
    """
    return sorted(_below(folder, frozenset({folder.resolve()})))


def has_files(folder: Path) -> bool:
    """Whether `files_of` would find any."""
    return next(_below(folder, frozenset({folder.resolve()})), None) is not None


def _below(folder: Path, above: frozenset[Path]) -> Iterator[Path]:
    """`above`: the folders that lead here; a link back to one of them is not followed."""
    for path in folder.iterdir():
        if path.name.startswith("."):
            continue
        try:
            path.name.encode()
        except UnicodeEncodeError:
            raise InputError(f"{str(path)!a}: its name is not UTF-8; rename it") from None
        if path.is_file():
            yield path
        elif path.is_dir() and (real := path.resolve()) not in above:
            yield from _below(path, above | {real})
        elif path.is_symlink() and not path.exists():
            raise InputError(f"{path}: is a link to a file that is not there; fetch it, or remove the link")


def _form(files: list[Path], kind: str) -> str:
    if kind == "bytes":
        return "bytes"
    unknown = "text" if kind == "characters" else "bytes"
    forms = {FORMS.get(file.suffix.lower(), unknown): file for file in reversed(files)}
    if len(forms) > 1:
        first, other, *_ = sorted(forms.values())
        raise InputError(
            f"{other}: is of another kind than {first.name}; all files must be texts, pictures, sounds, arrays or bytes "
            "(--kind bytes reads any as bytes, --kind characters reads unknown endings as texts)"
        )
    return next(iter(forms))


def _first_dtype(file: Path, decode: Callable[[Path], Elements]) -> np.dtype[np.generic]:
    first = decode(file)
    assert isinstance(first, np.ndarray)
    return stored(first.dtype)


def _text(content: bytes, file: Path) -> str:
    if b"\0" in content:
        raise InputError(f"{file}: byte {content.index(0)} is a NUL; it is not text (--kind bytes reads any)")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{file}: byte {error.start} is not UTF-8; save it as UTF-8, or say --kind bytes"
        ) from None
