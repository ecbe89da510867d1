"""DBpedia and AG's News, character by character, as Zhang, Zhao and LeCun (2015) read them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from backcast.data.forms.cells import shown
from backcast.data.forms.frames import lines, open_table
from backcast.data.forms.table_rows import plain
from backcast.data.sequences import Sequences, Splits
from backcast.data.sets.builtin import split_paths
from backcast.data.store.cache import import_rows
from backcast.data.store.labels import WHOLE
from backcast.data.store.writer import RowWriter
from backcast.errors import InputError

ALPHABET = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-,;.!?:'\"/\\|_@#$%^&*~`+-=<>()[]{}\n")
LONGEST = 1014  # characters; Zhang et al. cut there


@dataclass(frozen=True)
class TextSource:
    """Where a set of texts lives, and in which columns."""

    repository: str  # on the Hugging Face Hub
    folder: str
    columns: tuple[str, ...]  # on the Hub, to be joined by blanks
    classes: tuple[str, ...]


SOURCES = {
    "dbpedia": TextSource(
        "fancyzhx/dbpedia_14",
        "dbpedia_14",
        ("title", "content"),
        (
            "Company", "EducationalInstitution", "Artist", "Athlete", "OfficeHolder", "MeanOfTransportation", "Building",
            "NaturalPlace", "Village", "Animal", "Plant", "Album", "Film", "WrittenWork",
        ),
    ),
    "ag-news": TextSource("fancyzhx/ag_news", "data", ("text",), ("World", "Sports", "Business", "Sci/Tech")),
}  # fmt: skip


def normalise(text: str) -> str:
    """Lower case, with a blank for everything outside the 70-character alphabet.

    The blank is not one of the 70 and is treated like an unknown character, as in their code, where both are zeros.
    """
    return "".join(character if character in ALPHABET else " " for character in text.lower())


def load_texts(name: str, data_dir: Path | None) -> Splits:
    """Training and test texts: title and abstract, or title and description, joined by a blank.

    data_dir  a folder with `name`/train-*.parquet (the Hub's layout) or `name`/train.csv (Zhang's: the class from 1,
              then the texts, no header, `classes.txt` beside it), or that folder itself; None: the Hub
    """
    return Splits(_read(name, "train", data_dir), _read(name, "test", data_dir))


def _read(name: str, split: str, data_dir: Path | None) -> Sequences:
    source = SOURCES[name]
    folders = [data_dir] if data_dir is None else [data_dir / name.replace("-", "_"), data_dir]
    folder = next((one for one in folders if one is not None and one.is_dir()), data_dir)
    files = split_paths(name, source.repository, source.folder, split, folder, (f"{split}.csv",))
    names = [file.parent / "classes.txt" for file in files[:1] if (file.parent / "classes.txt").is_file()]
    classes = [line.strip() for _, line in lines(names[0]) if line.strip()] if names else list(source.classes)

    def read(writer: RowWriter) -> None:
        for file in files:
            for place, label, text in _rows(file, source):
                if not 0 <= label < len(classes):
                    raise InputError(f"{file}: {place}: there is no class {label}; there are {len(classes)}")
                writer.add(normalise(text), classes[label], place=place)

    options = {"form": "zhang", "alphabet": "".join(sorted(ALPHABET)), "classes": list(classes)}
    return import_rows(f"{name} {split}", [*files, *names], options, read, kind="characters")


def _rows(file: Path, source: TextSource) -> Iterator[tuple[str, int, str]]:
    """Place, class from 0 and text of every row."""
    is_csv = file.suffix == ".csv"
    table = open_table(file, header=False)
    columns = table.names if is_csv else ["label", *source.columns]
    absent = [column for column in columns if column not in table.names]
    if absent or len(columns) < 2:
        raise InputError(
            f"{file}: it has the columns {', '.join(table.names)}; {', '.join(columns)} are needed"
        )
    for frame in table.frames(columns):
        labels, *texts = (plain(frame.columns[column], str(file)) for column in columns)
        for i, label in enumerate(labels):
            if not WHOLE.fullmatch(str(label).strip()):
                raise InputError(f"{file}: {frame.place(i)} has the class {shown(label)}; a number is needed")
            words = ["" if part[i] is None else part[i] for part in texts]
            if not all(isinstance(word, str) for word in words):
                raise InputError(f"{file}: {frame.place(i)} holds {shown(words)}; texts are needed")
            yield frame.place(i), int(label) - is_csv, " ".join(words)
