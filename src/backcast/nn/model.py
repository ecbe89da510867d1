"""`Model`: the network that is kept, with its auxiliary networks."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from backcast.nn.decoder import Decoder, Predictor
from backcast.nn.feedforward import FeedForward
from backcast.nn.lstm import EmbeddedLSTM


class Model(nn.Module):
    """A main network, a classifier on its last output, and what the auxiliary losses need.

    encoder     reads the sequence
    classifier  last output (B, H) to logits (B, classes); None where nothing is classified (pretraining)
    decoder     r-LSTM's, or None
    predictor   p-LSTM's, or None
    symbols     the number of symbols, or 0 where elements are real vectors
    """

    def __init__(
        self,
        encoder: EmbeddedLSTM,
        classifier: FeedForward | None,
        decoder: Decoder | None,
        predictor: Predictor | None,
        symbols: int,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.classifier = classifier
        self.decoder = decoder
        self.predictor = predictor
        self.symbols = symbols

    def element_losses(self, predicted: Tensor, target: Tensor) -> Tensor:
        """The loss of each element, (N, L): cross-entropy for symbols, squared error for real vectors.

        predicted (N, L, symbols) logits or (N, L, C). The squared error is averaged over channels (summed or
        averaged is not stated in the paper).
        """
        predicted = full_precision(predicted)
        if self.symbols:
            return F.cross_entropy(predicted.transpose(1, 2), target, reduction="none")
        return (predicted - target).square().mean(dim=-1)


def full_precision(x: Tensor) -> Tensor:
    """Losses are never computed in bf16: float32 in its place, other dtypes as they are."""
    return x.float() if x.dtype == torch.bfloat16 else x
