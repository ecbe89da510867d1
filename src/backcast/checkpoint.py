"""Checkpoints: one safetensors file each, written atomically, the last two kept.

Loading one cannot run code: it holds only tensors, and a JSON text in the file's header. A checksum over both tells
whether a file is whole.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from backcast.errors import InputError
from backcast.files import write_atomically

FORMAT = "backcast checkpoint 1"
KEPT = 2


@dataclass(frozen=True)
class Checkpoint:
    """Named tensors, and whatever else is needed as JSON."""

    tensors: dict[str, Tensor]
    meta: dict[str, Any]


def storable(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors as safetensors takes them: without a graph, on the CPU, contiguous."""
    return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> Path:
    """Writes `folder`/step-NNNNNNNNNN.safetensors, then drops all but the last two. Raises OSError.

    A file with a later step goes, too: it could not be used, or the run would have gone on from it.
    """
    tensors = storable(checkpoint.tensors)
    meta = json.dumps(checkpoint.meta, sort_keys=True)
    header = {"format": FORMAT, "meta": meta, "sha256": _checksum(tensors, meta)}
    path = folder / f"step-{checkpoint.meta['step']:010d}.safetensors"
    write_atomically(path, save(tensors, header))
    up_to_now = [file for file in checkpoint_files(folder) if file <= path]
    for file in set(checkpoint_files(folder)) - set(up_to_now[-KEPT:]):
        file.unlink()
    return path


def load_last(folder: Path, fingerprint: str, warn: Callable[[str], None]) -> Checkpoint | None:
    """The newest checkpoint that is whole and belongs to this run; None where there is none at all.

    `warn` is told of each that cannot be used. Raises InputError if none can be.
    """
    for path in reversed(checkpoint_files(folder)):
        try:
            checkpoint = _load(path)
        except (OSError, SafetensorError, ValueError, KeyError) as error:
            warn(f"{path}: this checkpoint is damaged ({error}); using the one before it")
            continue
        if checkpoint.meta.get("fingerprint") != fingerprint:
            warn(f"{path}: this checkpoint belongs to another run; using the one before it")
            continue
        return checkpoint
    if checkpoint_files(folder):
        raise InputError(f"{folder}: no checkpoint in it can be used; say --overwrite to start over")
    return None


def _load(path: Path) -> Checkpoint:
    with safe_open(path, framework="pt") as file:
        header = file.metadata() or {}
        if header.get("format") != FORMAT:
            raise ValueError("it was not written by backcast")
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    if header["sha256"] != _checksum(tensors, header["meta"]):
        raise ValueError("its checksum does not fit")
    return Checkpoint(tensors, json.loads(header["meta"]))


def _checksum(tensors: dict[str, Tensor], meta: str) -> str:
    digest = hashlib.sha256(meta.encode())
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(tensors[name].reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def checkpoint_files(folder: Path) -> list[Path]:
    """The checkpoints in the folder, good or not, the oldest first."""
    return sorted(folder.glob("step-*.safetensors"))
