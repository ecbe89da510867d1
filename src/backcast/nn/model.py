"""`Model`: the network that is kept, with its auxiliary networks."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from backcast.nn.decoder import Decoder, Predictor
from backcast.nn.feedforward import FeedForward


class Model(nn.Module):
    """A main network, a classifier on its output, and what the auxiliary losses need.

    encoder       reads the sequence: a `RecurrentEncoder`, or an attention network
    classifier    last or averaged output (B, H) to logits (B, classes); None where nothing is classified (pretraining)
    decoder       r-LSTM's, or None
    predictor     p-LSTM's, or None
    next_element  outputs to the next element, for the losses of Dai & Le, or None
    symbols       the number of symbols, or 0 where elements are real vectors
    """

    def __init__(
        self,
        encoder: nn.Module,
        classifier: FeedForward | None = None,
        decoder: Decoder | None = None,
        predictor: Predictor | None = None,
        next_element: nn.Linear | None = None,
        symbols: int = 0,
    ) -> None:
        super().__init__()
        self.encoder: Any = encoder  # nn.Module declares neither call
        self.classifier = classifier
        self.decoder = decoder
        self.predictor = predictor
        self.next_element = next_element
        self.symbols = symbols

    @property
    def recurrent(self) -> bool:
        """Does the main network read step by step, with a state?"""
        return hasattr(self.encoder, "zero_state")

    def element_losses(self, predicted: Tensor, target: Tensor) -> Tensor:
        """The loss of each element, (N, L): cross-entropy for symbols, squared error for real vectors.

        predicted (N, L, symbols) logits or (N, L, C). The squared error is averaged over channels (summed or
        averaged is not stated in the paper). No gradient reaches the targets: a learned input would become constant.
        """
        predicted, target = full_precision(predicted), target.detach()
        if self.symbols:
            return F.cross_entropy(predicted.transpose(1, 2), target, reduction="none")
        return (predicted - target).square().mean(dim=-1)


def full_precision(x: Tensor) -> Tensor:
    """bf16 as float32, because losses are never computed in bf16; other dtypes as they are."""
    return x.float() if x.dtype == torch.bfloat16 else x
