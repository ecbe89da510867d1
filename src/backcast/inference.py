"""What a trained network says of whole rows, in memory that does not grow with their length."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from backcast.batch import Batch
from backcast.data.preprocessing import Preprocessing
from backcast.data.sequences import Sequences
from backcast.metrics import Accuracy
from backcast.nn.model import Model
from backcast.sweep import sweep


def last_outputs(model: Model, batch: Batch) -> Tensor:
    """The main network's output at each row's own last step, (B, H), without a graph."""
    last = batch.lengths[:, None] - 1
    states = sweep(model.encoder, batch, last)
    with torch.no_grad():
        outputs, _ = model.encoder(batch.take(last[:, :, None]), states)
    return outputs[:, 0]


def logits(
    model: Model,
    preprocessing: Preprocessing,
    rows: Sequences,
    *,
    batch_size: int = 256,
    device: torch.device | str = "cpu",
) -> Tensor:
    """The classifier's logits for all rows in order, (n, classes), on the CPU."""
    assert model.classifier is not None
    found = []
    for batch in preprocessing.batches(rows, batch_size, device):
        with torch.no_grad():
            found.append(model.classifier(last_outputs(model, batch)).cpu())
    return torch.cat(found)


def accuracy(
    model: Model,
    preprocessing: Preprocessing,
    rows: Sequences,
    *,
    batch_size: int = 256,
    device: torch.device | str = "cpu",
) -> Accuracy:
    """Over the rows that have a label; there must be one."""
    labelled = rows.select(np.flatnonzero(rows.labels >= 0))
    scores = logits(model, preprocessing, labelled, batch_size=batch_size, device=device)
    labels = torch.from_numpy(labelled.labels)
    correct = int((scores.argmax(dim=1) == labels).sum())
    return Accuracy(correct, len(labels), float(F.cross_entropy(scores, labels)))
