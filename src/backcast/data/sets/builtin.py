"""Where the built-in data sets are: in `--data-dir`, or on the Hugging Face Hub."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from backcast.data.forms import hub
from backcast.errors import InputError


def split_paths(
    name: str, repository: str, folder: str, split: str, data_dir: Path | None, patterns: Sequence[str] = ()
) -> list[Path]:
    """The files of one split of a built-in set.

    repository, folder  the data set on the Hub, and the folder inside it
    data_dir            a folder with `name`/train-*.parquet and test-*.parquet in it, or `name` itself; None: the Hub
    patterns            other names that the files may have, such as `train.csv`

    Raises InputError that says what to fetch and where to put it.
    """
    if data_dir is None:
        return [hub.file_of(repository, f"{folder}/{split}-00000-of-00001.parquet", name)]
    if not data_dir.is_dir():
        raise InputError(f"--data-dir {data_dir}: there is no such folder")
    for place in (data_dir / name, data_dir / name / folder, data_dir, data_dir / folder):
        for pattern in (f"{split}-*.parquet", *patterns):
            files = sorted(place.glob(pattern))
            if files:
                return files
    others = "".join(f" or {pattern}" for pattern in patterns)
    raise InputError(
        f"--data-dir {data_dir}: there is no {name}/{split}-*.parquet{others} in it; "
        f"download the data set {repository} from the Hugging Face Hub into {data_dir / name}"
    )
