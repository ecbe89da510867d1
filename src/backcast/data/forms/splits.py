"""The words that name a split, and the files of a folder by split."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

from backcast.data.forms.folders import files_of
from backcast.data.forms.frames import table_suffix
from backcast.errors import InputError

SPLITS = {
    "train": "train", "training": "train",
    "test": "test", "testing": "test", "eval": "test",
    "validation": "validation", "valid": "validation", "val": "validation", "dev": "validation",
}  # fmt: skip


def split_word(path: Path, folder: Path) -> str | None:
    """The word in the name of a file, or of a folder above it, that names its split (`SPLITS`); None if none does."""
    for part in reversed(path.relative_to(folder).parts):
        for word in re.split(r"[^a-z]+", part.lower()):
            if word in SPLITS:
                return word
    return None


def split_files(folder: Path, wanted: Collection[str] | None = None) -> dict[str, list[Path]]:
    """A folder's data files by split; if no file names a split, all are `train`. Empty where there are no files.

    wanted  paths, within the folder, of the files to take; None: all

    Tables (Parquet, CSV, JSON lines, Arrow), `.npz` and `.ts` files count, at any depth but not in hidden folders.
    """
    files = [
        path
        for path in files_of(folder)
        if (wanted is None or path.relative_to(folder).as_posix() in wanted)
        and (table_suffix(path) or path.suffix.lower() in (".npz", ".ts"))
        and not path.name.startswith("cache-")  # what `datasets` leaves beside its data
    ]
    splits: dict[str, list[Path]] = {}
    words: dict[str, str] = {}
    for path in files:
        word = split_word(path, folder)
        split = SPLITS[word] if word else ""
        if word and words.setdefault(split, word) != word:
            raise InputError(
                f"{folder}: `{words[split]}` and `{word}` files are both {split}; put them together"
            )
        splits.setdefault(split, []).append(path)
    if set(splits) == {""}:
        return {"train": splits[""]}
    unnamed = splits.pop("", [])
    if unnamed:
        raise InputError(
            f"{folder}: the name of {unnamed[0].name} says no split (train, validation or test), others do"
        )
    return splits
