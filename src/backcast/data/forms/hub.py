"""Data sets on the Hugging Face Hub."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from backcast.data.forms.frames import table_suffix
from backcast.data.forms.splits import SPLITS
from backcast.errors import InputError
from backcast.hub import ask, is_repository


def fetch(name: str) -> tuple[Path, list[str]]:
    """Downloads `owner/name[:config]` (what the Hub's own cache has is not fetched again): its folder and the files in it.

    The list of its files always comes from the Hub.

    Files left in the folder by other configurations are ignored. Raises InputError.
    """
    repository, _, config = name.partition(":")
    if not is_repository(repository):
        raise InputError(f"hf:{name}: a data set of the Hub is called hf:owner/name or hf:owner/name:config")
    files = _ask(
        repository, "the list of its files", lambda hub: hub.list_repo_files(repository, repo_type="dataset")
    )
    wanted = [file for file in files if table_suffix(Path(file)) and not file.startswith(".")]
    configs = _configs(wanted)
    if config:
        if config not in configs:
            listed = ", ".join(sorted(filter(None, configs))) or "none"
            raise InputError(f"hf:{name}: there is no configuration {config}; there are: {listed}")
        wanted = configs[config]
    elif len(configs) > 1 and "" not in configs:
        raise InputError(
            f"hf:{name}: say which configuration: {', '.join(f'hf:{repository}:{one}' for one in sorted(configs))}"
        )
    elif "" in configs:
        wanted = configs[""]
    if not wanted:
        raise InputError(f"hf:{name}: there are no Parquet, CSV, JSON lines or Arrow files in it")
    folder = _ask(
        repository,
        "its files",
        lambda hub: hub.snapshot_download(repository, repo_type="dataset", allow_patterns=wanted),
    )
    inside = Path(folder) / config if config else Path(folder)
    return inside, [Path(file).relative_to(config).as_posix() for file in wanted]


def file_of(repository: str, file: str, name: str) -> Path:
    """One file of a built-in data set. Raises InputError, which says where to put the file by hand."""
    try:
        return Path(
            _ask(repository, file, lambda hub: hub.hf_hub_download(repository, file, repo_type="dataset"))
        )
    except InputError as error:
        raise InputError(
            f"{name}: {str(error).split(';')[0]}; where there is no network, put the file into DIR/{name}/ and say --data-dir DIR"
        ) from None


def _configs(files: list[str]) -> dict[str, list[str]]:
    """Files by configuration: the name of the first folder, unless that is `data` or names a split; else ""."""
    found: dict[str, list[str]] = {}
    for file in files:
        first = Path(file).parts[0] if len(Path(file).parts) > 1 else ""
        found.setdefault("" if first == "data" or first in SPLITS else first, []).append(file)
    return found


def _ask(repository: str, what: str, call: Callable[[Any], Any]) -> Any:
    return ask(
        call,
        lambda reason: InputError(
            f"hf:{repository}: could not fetch {what} from the Hugging Face Hub ({reason}); where there is no network, "
            "copy the data set here and name its folder"
        ),
    )
