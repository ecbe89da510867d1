"""What the tests share: small models and batches, and one torch thread setting."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import settings

from backcast.batch import Batch
from backcast.build import build_network
from backcast.config import Config
from backcast.data.preprocessing import Preprocessing
from backcast.nn.model import Model

# The same examples in every run: a change is judged by what it changes.
# `pytest --hypothesis-profile=default` looks for new ones.
settings.register_profile("same", derandomize=True)
settings.load_profile("same")

REAL = Preprocessing("real", channels=2, mean=(0.0, 0.0), std=(1.0, 1.0))
SYMBOLS = Preprocessing("integers", channels=1, mean=(), std=(), vocabulary=(0, 1, 2, 3))


def make_model(method: str = "rp-lstm", symbols: bool = False, **settings: object) -> Model:
    """A small float64 network with three classes."""
    config = Config(
        **{"method": method, "hidden_size": 6, "embedding_size": 4, "dropconnect": 0.0, **settings}
    )
    return build_network(config, SYMBOLS if symbols else REAL, 3).double()


def make_batch(lengths: list[int], symbols: bool = False, seed: int = 0) -> Batch:
    """Random rows; what lies behind their ends is random, too, and must not matter."""
    generator = np.random.default_rng(seed)
    count, longest = len(lengths), max(lengths)
    if symbols:
        x = torch.from_numpy(generator.integers(0, 5, (count, longest)))
    else:
        x = torch.from_numpy(generator.normal(size=(count, longest, 2)))
    labels = torch.from_numpy(generator.integers(0, 3, count))
    return Batch(x, np.array(lengths), labels, np.arange(count))


def row_alone(batch: Batch, row: int) -> Batch:
    """One row of a batch, without its padding."""
    length = int(batch.lengths[row])
    here = slice(row, row + 1)
    return Batch(batch.x[here, :length], batch.lengths[here], batch.labels[here], batch.rows[here])


@pytest.fixture(autouse=True, scope="session")
def cache_of_the_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Imported data go to a folder of the tests, not to the user's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BACKCAST_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def npz(tmp_path: Path) -> Path:
    """A small data set of one's own: two classes told apart by the mean of the row, ragged, two channels."""
    generator = np.random.default_rng(0)
    y = np.arange(60) % 2
    x = generator.normal(size=(60, 12, 2)).astype(np.float32) + y[:, None, None]
    path = tmp_path / "mine.npz"
    np.savez(
        path, x=x, y=y, lengths=generator.integers(5, 13, 60), ids=np.array([f"row-{i}" for i in range(60)])
    )
    return path
