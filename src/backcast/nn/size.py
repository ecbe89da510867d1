"""How many parameters a network has, and how wide another must be to have as many."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable

import torch
from torch import nn

from backcast.nn.embedding import Embedding
from backcast.nn.lstm import EmbeddedLSTM

WIDEST = 2**16  # in multiples of `heads`


def lstm_parameters(symbols: int, channels: int, embedding_size: int, hidden_size: int) -> int:
    """The number of parameters of the main LSTM with its embedding; arguments as theirs."""
    with torch.device("meta"):
        return parameters(EmbeddedLSTM(Embedding(symbols, channels, embedding_size), hidden_size))


def width_like(wanted: int, heads: int, build: Callable[[int], nn.Module]) -> int:
    """The width, a multiple of `heads`, at which the parameters of `build(width)` are nearest to `wanted`."""

    def count(width_by_heads: int) -> int:
        with torch.device("meta"):  # shapes without numbers: no memory, no randomness
            return parameters(build(width_by_heads * heads))

    above = 1 + bisect_left(range(1, WIDEST), wanted, key=count)
    nearest = min(max(above - 1, 1), above, key=lambda width: abs(count(width) - wanted))
    return nearest * heads


def parameters(network: nn.Module) -> int:
    """The number of parameters of `network`."""
    return sum(each.numel() for each in network.parameters())
