"""A training step of torch's own Transformer encoder: two layers, as many parameters as the LSTM beside it.

No dropout, with which torch would store every attention weight on a CPU (memory in proportion to T squared).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from backcast.benchmark.transformer_size import HEADS, LAYERS, WIDER
from backcast.benchmark.work.training import CLASSES, TrainingStep
from backcast.nn.embedding import sinusoidal_positions


class Work(TrainingStep):
    """`width` of the tokens."""

    def __init__(self, settings: dict[str, Any]) -> None:
        super().__init__(settings)
        self.width = settings["width"]
        layer = nn.TransformerEncoderLayer(
            self.width, HEADS, WIDER * self.width, dropout=0.0, batch_first=True
        )
        self.embedding = nn.Linear(settings["channels"], self.width)
        self.encoder = nn.TransformerEncoder(layer, LAYERS, enable_nested_tensor=False)
        self.head = nn.Linear(self.width, CLASSES)

    def parameters(self) -> Iterable[Tensor]:
        return [*self.embedding.parameters(), *self.encoder.parameters(), *self.head.parameters()]

    def loss(self) -> Tensor:
        places = sinusoidal_positions(torch.arange(self.x.shape[1]), self.width, self.x.dtype)
        outputs = self.encoder(self.embedding(self.x) + places)
        return F.cross_entropy(self.head(outputs.mean(dim=1)), self.labels)
