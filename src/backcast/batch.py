"""`Batch`: rows of a data set side by side, and the only two ways to read them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor


class Reader(Protocol):
    """Elements that are read on demand; steps after a row's end are zeros."""

    shape: tuple[int, ...]  # (B, T, C), or (B, T) for symbols
    device: torch.device

    def read(self, start: int, stop: int) -> Tensor:
        """Steps start .. stop-1 of all rows: (B, stop-start[, C])."""

    def gather(self, positions: NDArray[np.int64]) -> Tensor:
        """The elements at `positions` (B, m) of each row, 0 .. T-1: (B, m[, C])."""


@dataclass(frozen=True)
class Batch:
    """B rows, padded at the end to the longest of them.

    x        (B, T, C) float for real vectors, (B, T) int64 for symbols; on the training device, or read from disk
             piece by piece
    lengths  (B,) int64, 1 .. T; on the host, because plans are made there
    labels   (B,) int64 on the training device; -1 for a row without a label
    rows     (B,) int64: each row's number in its data set, the key of its randomness
    targets  (B,) float: what a regression learns; NaN for a row without one. None: no regression
    weights  (B,) float: how much each row counts in the supervised loss. None: all the same

    Only `slice` and `take` read x, so a batch may come from disk.
    """

    x: Tensor | Reader
    lengths: NDArray[np.int64]
    labels: Tensor
    rows: NDArray[np.int64]
    targets: Tensor | None = None
    weights: Tensor | None = None

    @staticmethod
    def of(x: Tensor, labels: Tensor | None = None, lengths: ArrayLike | None = None) -> Batch:
        """A batch of your own rows: x (B, T, C) or (B, T), and optionally labels (B,) and lengths (B,), 1 .. T.

        What stands behind a row's end may be anything. Raises ValueError for other lengths.
        """
        count, steps = x.shape[:2]
        if isinstance(lengths, Tensor):
            lengths = lengths.cpu()
        # A copy: torch warns of read-only arrays, which pandas gives.
        whole = np.full(count, steps) if lengths is None else np.array(lengths)
        fits = whole.shape == (count,) and (not count or 1 <= whole.min() <= whole.max() <= steps)
        if not fits or (count and whole.dtype.kind not in "iu"):
            raise ValueError(
                f"lengths: {count} whole numbers of 1 .. {steps} are needed, one per row of x {tuple(x.shape)}"
            )
        if (whole < steps).any():
            # A mask at the end would not do: the gradient of what it leaves out is 0 times NaN.
            behind = torch.arange(steps) >= torch.from_numpy(whole)[:, None]
            x = x.masked_fill(behind.to(x.device).reshape(count, steps, *[1] * (x.ndim - 2)), 0)
        return Batch(
            x,
            whole.astype(np.int64),
            x.new_full((count,), -1, dtype=torch.int64) if labels is None else labels,
            np.arange(count),
        )

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def device(self) -> torch.device:
        return self.x.device

    @property
    def on_disk(self) -> bool:
        return not isinstance(self.x, Tensor)

    def slice(self, start: int, stop: int) -> Tensor:
        """Steps start .. stop-1 of all rows: (B, stop-start[, C])."""
        return self.x[:, start:stop] if isinstance(self.x, Tensor) else self.x.read(start, stop)

    def take(self, positions: NDArray[np.int64]) -> Tensor:
        """The elements at `positions` (B, m, L) of each row: (B·m, L[, C]).

        Positions outside 0 .. T-1 give the nearest element: they are padding, which the caller masks.
        """
        count, windows, length = positions.shape
        flat = np.clip(positions, 0, self.x.shape[1] - 1).reshape(count, windows * length)
        if not isinstance(self.x, Tensor):
            return self.x.gather(flat).reshape(count * windows, length, *self.x.shape[2:])
        index = torch.from_numpy(flat).to(self.device)
        row = torch.arange(count, device=self.device)[:, None]
        return self.x[row, index].reshape(count * windows, length, *self.x.shape[2:])
