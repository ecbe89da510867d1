"""backcast: recurrent networks that learn from very long sequences, in memory that does not grow with the length.

Importing it touches no disk, no network, no seed and no global flag of torch.
"""

from __future__ import annotations

from typing import Any

__all__ = [
    "AuxiliaryLoss", "BackcastClassifier", "BackcastEncoder", "BackcastRegressor", "Config", "InputError", "RunError",
    "StreamSession", "from_arrays", "load", "load_model", "train",
]  # fmt: skip

_HOMES = {
    "AuxiliaryLoss": "backcast.auxiliary",
    "BackcastClassifier": "backcast.estimator.classifier",
    "BackcastEncoder": "backcast.estimator.encoder",
    "BackcastRegressor": "backcast.estimator.regressor",
    "Config": "backcast.config",
    "InputError": "backcast.errors",
    "RunError": "backcast.errors",
    "StreamSession": "backcast.streaming",
    "from_arrays": "backcast.data.forms.arrays",
    "load": "backcast.data.sources",
    "load_model": "backcast.build",
    "train": "backcast.run",
}


def __getattr__(name: str) -> Any:
    """Public names are imported when they are first used, so that `backcast --help` need not import torch."""
    if name not in _HOMES:
        raise AttributeError(f"module 'backcast' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
