"""Model folders to and from the Hugging Face Hub."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from backcast.errors import InputError
from backcast.hub import PREFIX, ask, is_repository


def download(name: str) -> Path:
    """The folder of the model `hf:owner/name`, from the Hub or its local cache. Raises InputError."""
    repository = name.removeprefix(PREFIX)
    _require_repository(repository)
    found = ask(
        lambda hub: hub.snapshot_download(repository, allow_patterns=["*.safetensors", "*.json"]),
        lambda reason: InputError(f"{name}: cannot be fetched from the Hugging Face Hub: {reason[:200]}"),
    )
    return Path(found)


def upload(write: Callable[[Path], None], repository: str, private: bool) -> str:
    """Uploads what `write` writes into a folder, creating the repository if need be; returns the commit's address."""
    _require_repository(repository)
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder))

        def push(hub: Any) -> Any:
            api = hub.HfApi()
            api.create_repo(repository, private=private, exist_ok=True)
            return api.upload_folder(repo_id=repository, folder_path=folder)

        address = ask(
            push,
            lambda reason: InputError(
                f"{repository}: cannot be written to the Hugging Face Hub: {reason[:200]}"
            ),
        )
        return str(address)


def _require_repository(name: str) -> None:
    if not is_repository(name):
        raise InputError(f"{name!r}: a model of the Hub is called owner/name")
