"""Model folders to and from the Hugging Face Hub."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from backcast.errors import InputError

PREFIX = "hf:"


def download(name: str) -> Path:
    """The folder of the model `hf:owner/name`, from the Hub or its local cache. Raises InputError."""
    repository = _repository(name.removeprefix(PREFIX))
    ask = lambda hub: hub.snapshot_download(repository, allow_patterns=["*.safetensors", "*.json"])  # noqa: E731
    return Path(_hub(f"{name}: cannot be fetched from", ask))


def upload(write: Callable[[Path], None], repository: str, private: bool) -> str:
    """Uploads what `write` writes into a folder, creating the repository if need be; returns the commit's address."""
    _repository(repository)
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder))

        def push(hub: Any) -> Any:
            api = hub.HfApi()
            api.create_repo(repository, private=private, exist_ok=True)
            return api.upload_folder(repo_id=repository, folder_path=folder)

        return str(_hub(f"{repository}: cannot be written to", push))


def _repository(name: str) -> str:
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", name):
        raise InputError(f"{name!r}: a model of the Hub is called owner/name")
    return name


def _hub(what: str, ask: Callable[[Any], Any]) -> Any:
    import huggingface_hub as hub

    try:
        return ask(hub)
    except Exception as error:  # the Hub's client raises many kinds: network, names, permissions
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(f"{what} the Hugging Face Hub: {reason[:200]}") from None
