"""How much memory a training step keeps for its backward pass."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

import torch
from torch import Tensor


def activation_bytes(forward: Callable[[], object], parameters: Iterable[Tensor]) -> int:
    """The most bytes of distinct storages saved for backward at any one time during `forward`, parameters not counted.

    The result of `forward` is kept until the count is made, so all its graphs are alive together; a graph that
    `forward` itself makes and drops (`chunks`) counts while it lives.
    """
    saved = _SavedStorages({parameter.untyped_storage().data_ptr() for parameter in parameters})
    with torch.autograd.graph.saved_tensors_hooks(
        lambda tensor: _Saved(tensor, saved), lambda kept: kept.tensor
    ):
        result = forward()
    del result
    return saved.most


class _SavedStorages:
    """The storages saved at present, and the most bytes saved at any time so far."""

    def __init__(self, not_counted: set[int]) -> None:
        self.not_counted = not_counted
        self.tensors: Counter[int] = Counter()  # number of saved tensors by the address of their storage
        self.bytes = self.most = 0

    def add(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        address = storage.data_ptr()
        if address not in self.not_counted:
            self.tensors[address] += 1
            if self.tensors[address] == 1:
                self.bytes += storage.nbytes()
                self.most = max(self.most, self.bytes)

    def remove(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        address = storage.data_ptr()
        if address in self.tensors:
            self.tensors[address] -= 1
            if not self.tensors[address]:
                del self.tensors[address]
                self.bytes -= storage.nbytes()


class _Saved:
    """A tensor as autograd keeps it, counted for as long as it does."""

    def __init__(self, tensor: Tensor, storages: _SavedStorages) -> None:
        self.tensor, self.storages = tensor, storages
        storages.add(tensor)

    def __del__(self) -> None:
        self.storages.remove(self.tensor)
