"""The one entry point for data: what DATA may be, and how it is loaded."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from backcast.data.forms import hub
from backcast.data.forms.cells import MISSING_WORDS
from backcast.data.forms.folders import files_of, has_files, read_folder
from backcast.data.forms.frames import table_suffix
from backcast.data.forms.splits import SPLITS, split_files, split_word
from backcast.data.forms.table_files import FILE_SUFFIXES, read_files
from backcast.data.reading import COLUMN_OPTIONS, Reading
from backcast.data.sequences import Sequences, Splits, read_as
from backcast.data.splitting import draw_rows
from backcast.errors import InputError, nearest, python_words
from backcast.hub import PREFIX

Say = Callable[[str], None]


@dataclass(frozen=True)
class Request:
    """What a built-in data set is asked for: `--data-dir`, `--side`, `--permutation-seed`."""

    data_dir: Path | None
    side: int | None
    permutation_seed: int


@dataclass(frozen=True)
class Source:
    """A built-in data set: what it is, how to load it, and where its rows are cut."""

    description: str
    load: Callable[[Request], Splits]
    max_length: int | None = None


def _digits(request: Request) -> Splits:
    from backcast.data.sets.digits import load_digits_silence

    return load_digits_silence()


def _images(name: str) -> Callable[[Request], Splits]:
    def load(request: Request) -> Splits:
        from backcast.data.sets.images import load_images, permuted

        splits = load_images("mnist" if name == "pmnist" else name, request.data_dir, request.side)
        return permuted(splits, request.permutation_seed) if name == "pmnist" else splits

    return load


def _texts(name: str) -> Callable[[Request], Splits]:
    def load(request: Request) -> Splits:
        from backcast.data.sets.zhang import load_texts

        return load_texts(name, request.data_dir)

    return load


def _dogs(request: Request) -> Splits:
    from backcast.data.sets.dogs import load_dogs

    return load_dogs(request.data_dir, request.side)


BUILT_IN = {
    "digits-silence": Source(
        "8×8 digits, then 64 blank steps: T = 128, 1 channel, 10 classes (embedded)", _digits
    ),
    "mnist": Source("MNIST pixel by pixel: T = 784, 1 channel, 10 classes", _images("mnist")),
    "pmnist": Source(
        "MNIST in one random order of the pixels that follows from --permutation-seed", _images("pmnist")
    ),
    "cifar10": Source("CIFAR-10 pixel by pixel: T = 1,024, 3 channels, 10 classes", _images("cifar10")),
    "stanford-dogs": Source(
        "Stanford Dogs pixel by pixel, scaled to --side (10 to 128): T = side², 3 channels, 120 classes",
        _dogs,
    ),
    "dbpedia": Source(
        "DBpedia's titles and abstracts, character by character: 14 classes", _texts("dbpedia"), 1014
    ),
    "ag-news": Source("AG's News, character by character: 4 classes", _texts("ag-news"), 1014),
}


def identity(data: str | None) -> str | None:
    """DATA, such that two names of one file or folder are equal; what is no path, or cannot be seen, keeps its name."""
    if data is None or data in BUILT_IN or data.startswith(PREFIX) or not os.path.exists(data):
        return data
    return str(Path(data).resolve())


def load(
    data: Any,
    y: Any = None,
    *,
    ids: Any = None,
    data_dir: Path | str | None = None,
    limit: int | None = None,
    max_length: int | None = None,
    missing_label: str | None = None,
    permutation_seed: int = 0,
    labels: bool = True,
    say: Say = lambda line: None,
    **reading: Any,
) -> Splits:
    """The rows of DATA, whatever it is; if it has no splits of its own, all are in `train`.

    data           a built-in name (`BUILT_IN`); a file (CSV, TSV, JSON lines, Parquet, Arrow, `.npz`, `.npy`, `.ts`);
                   a folder with a sub-folder per class, or a file per split; `hf:owner/name[:config]`; or what
                   `python_objects.from_python` takes (arrays, lists, tensors, DataFrames, `datasets.Dataset`)
    y, ids         (n,) labels and ids, for arrays and lists
    data_dir       a local copy of the built-in sets
    limit          at most this many training rows, drawn at random but always the same ones, in their order
    max_length     at most this many steps of a row, the first ones; `say` is told how many rows that cuts
    missing_label  the label that means "none", as text; empty ones and NaN always do
    labels         False: they are not needed, and no row gets one
    reading        columns and kinds: `id`, `label`, `x`, `text`, `time`, `wide`, `header`, `kind`, `fill_missing`, `side`, as
                   the flags of `backcast train` (`reading.Reading` explains them)

    Raises InputError for what does not exist or cannot be read.
    """
    how = _reading({"labels": labels, **reading})
    for option, value in (("limit", limit), ("max_length", max_length)):
        if value is not None and value < 1:
            raise InputError(f"{option} is {value}; it must be at least 1")
    if isinstance(data, (str, Path)):
        if y is not None or ids is not None:
            raise InputError(f"{data} brings its labels and ids; name their columns by label= and id=")
        how.require_table(str(data), lambda: _is_table(str(data)))
        request = Request(None if data_dir is None else Path(data_dir), how.side, permutation_seed)
        try:
            splits, default = _named(str(data), how, request)
        except OSError as error:
            raise InputError(f"{error.filename or data}: cannot be read: {error.strerror or error}") from None
        max_length = max_length or default
    else:
        from backcast.data.forms.python_objects import from_python

        with python_words():
            splits = from_python(data, how, y, ids)
    parts = {name: _finished(part, missing_label, max_length, say) for name, part in splits.parts().items()}
    if limit is not None:
        parts["train"] = draw_rows(parts["train"], limit)
    return Splits(**parts if labels else {name: part.without_labels() for name, part in parts.items()})


def fitting(data: str, options: dict[str, Any], given: Collection[str] = ()) -> dict[str, Any]:
    """The options of a run for other DATA: where that is no table, none that is for tables, unless it was `given`."""
    if _is_table(data):
        return options
    return {name: value for name, value in options.items() if name in given or name not in COLUMN_OPTIONS}


def _is_table(data: str) -> bool:
    """Whether DATA, as far as names tell, is a table, or tables in a folder."""
    path = Path(data)
    if data in BUILT_IN or path.suffix.lower() in (".npz", ".npy", ".ts"):
        return False
    return not path.is_dir() or any(
        table_suffix(file) for files in split_files(path).values() for file in files
    )


def _finished(rows: Sequences, missing_label: str | None, max_length: int | None, say: Say) -> Sequences:
    if missing_label:
        rows = rows.without_class(missing_label)
    elif missing_label is None and (word := next((one for one in rows.classes if _means_none(one)), None)):
        say(
            f"{rows.name}: {word!r} is read as a class; if it means that there is none: --missing-label {word}"
        )
    if max_length is not None and (count := int((rows.lengths > max_length).sum())):
        say(f"{rows.name}: {count} of {len(rows)} rows are cut to {max_length} steps")
        rows = rows.cut(max_length)
    return rows


def _means_none(label: Any) -> bool:
    return isinstance(label, str) and label.lower() in MISSING_WORDS


def _named(data: str, reading: Reading, request: Request) -> tuple[Splits, int | None]:
    if data in BUILT_IN:
        source = BUILT_IN[data]
        return source.load(request), source.max_length
    if data.startswith(PREFIX):
        folder, files = hub.fetch(data.removeprefix(PREFIX))
        return _read_folder(folder, reading, data, files), None
    path = Path(data)
    if data and path.is_dir():
        return _read_folder(path, reading, data), None
    if not data or not path.exists():
        known = f"built-in sets are {', '.join(BUILT_IN)}"
        raise InputError(
            f"{data}: there is no such file or data set{nearest(data, BUILT_IN) or f'; {known}'}"
        )
    if not path.is_file():  # a pipe would be waited for, and could not be read twice
        raise InputError(f"{data}: is neither a file nor a folder; save the data in a file first")
    return Splits(read_files([path], reading)), None


def _read_folder(folder: Path, reading: Reading, name: str, wanted: Collection[str] | None = None) -> Splits:
    files = split_files(folder, wanted)
    if files:
        if wanted is None:
            _require_tables_alone(folder, [path for paths in files.values() for path in paths])
        several = len(files) > 1
        return _with_train(
            files, reading, name, lambda split, how: _split(files[split], how, name, split, several)
        )
    folders = _split_folders(folder, name)
    if folders:
        return _with_train(folders, reading, name, lambda split, how: read_folder(folders[split], how))
    if not files_of(folder):
        raise InputError(
            f"{folder}: there are no data in it; a sub-folder per class, or files of rows ({', '.join(FILE_SUFFIXES)}), are read"
        )
    return Splits(read_folder(folder, reading))


def _split_folders(folder: Path, name: str) -> dict[str, Path]:
    """The sub-folders by split; empty where they are classes. Raises InputError where they are some of each.

    `train_images` and `test_images` are splits, too, where each has sub-folders of its own, one per class.
    """
    inside = [path for path in sorted(folder.iterdir()) if path.is_dir() and not path.name.startswith(".")]
    # Programs that pack archives leave folders of hidden files.
    inside = [path for path in inside if path.name.lower() in SPLITS or has_files(path)]
    splits = {path: SPLITS[word] for path in inside if (word := split_word(path, folder))}
    named = [path for path in splits if path.name.lower() in SPLITS]
    distinct = len(set(splits.values())) == len(splits) and "train" in splits.values()
    if len(named) == len(inside) or (
        len(splits) == len(inside) and distinct and all(map(_has_folders, splits))
    ):
        found: dict[str, Path] = {}
        for path, split in splits.items():
            if split in found:
                raise InputError(
                    f"{name}: {path.name} and another folder are both {split}; put them together"
                )
            found[split] = path
        return found
    nested = next(filter(_has_folders, named), None)
    if nested is not None:
        other = next(path for path in inside if path not in named)
        raise InputError(
            f"{name}: {nested.name} looks like a split, with folders in it, and {other.name} like a class; "
            f"move {other.name} out of {folder.name}, or the folders of {nested.name} up"
        )
    return {}


def _has_folders(path: Path) -> bool:
    return any(one.is_dir() and not one.name.startswith(".") for one in path.iterdir())


def _require_tables_alone(folder: Path, tables: list[Path]) -> None:
    """Raises InputError where it is unclear whether `folder` holds tables or a sub-folder per class."""
    if any(split_word(path, folder) for path in tables):
        return
    top = next((path.relative_to(folder).parts[0] for path in tables if path.parent != folder), "data")
    if top != "data":
        raise InputError(
            f"{folder}: {top} holds tables; a sub-folder per class holds one file per sequence as .txt, .npy, .wav or pictures, "
            "and tables are put together into one with a column `label`"
        )
    others = (path for path in files_of(folder) if path.parent != folder and path not in tables)
    stray = next((path for path in others if path.suffix.lower() not in (".md", ".json", ".lock")), None)
    if stray is not None:
        raise InputError(
            f"{folder}: holds the table {tables[0].name} and the file {stray.relative_to(folder)}; "
            "name the table, or move it out of the folder"
        )


def _split(paths: list[Path], reading: Reading, name: str, split: str, several: bool) -> Sequences:
    suffixes = sorted({table_suffix(path) or path.suffix.lower() for path in paths})
    if len(suffixes) > 1:
        raise InputError(f"{name}: there are {' and '.join(suffixes)} files of {split}; name the one to read")
    alone = str(paths[0]) if len(paths) == 1 else name
    return read_files(paths, reading, f"{name} {split}" if several else alone)


def _with_train(
    splits: Collection[str], reading: Reading, name: str, read: Callable[[str, Reading], Sequences]
) -> Splits:
    """The splits, all read as the kind `train` turned out to be: real test data may happen to be whole numbers."""
    if "train" not in splits:
        raise InputError(f"{name}: there is a split {next(iter(splits))}, but no train")
    train = read("train", reading)
    like_train = replace(reading, kind=read_as(train.kind))
    return Splits(train, **{split: read(split, like_train) for split in splits if split != "train"})


def _reading(given: dict[str, Any]) -> Reading:
    known = [field.name for field in dataclasses.fields(Reading)]
    for name in given:
        if name not in known:
            raise InputError(f"load(): unknown option '{name}'{nearest(name, known)}")
    return Reading(**given)
