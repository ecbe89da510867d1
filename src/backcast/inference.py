"""What a trained network says of whole rows, in memory that does not grow with their length."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from backcast.batch import Batch
from backcast.data.batching import by_length
from backcast.data.preprocessing import Preprocessing
from backcast.data.sequences import Sequences
from backcast.metrics import Scores
from backcast.nn.model import Model
from backcast.sweep import sweep


def last_outputs(model: Model, batch: Batch) -> Tensor:
    """What is classified, (B, H), without a graph: the main network's output at each row's own last step, or the average of an attention network's."""
    if not model.recurrent:
        with torch.no_grad():
            output: Tensor = model.encoder(batch.slice(0, int(batch.lengths.max())), batch.lengths)
        return output
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
    """The classifier's logits for all rows in order, (n, classes), on the CPU. Rows of similar length are read together."""
    assert model.classifier is not None
    found, places = [], by_length(rows.lengths, batch_size)
    for which in places:
        batch = preprocessing.batch(rows, which, device)
        with torch.no_grad():
            found.append(model.classifier(last_outputs(model, batch)).cpu())
    scores = torch.cat(found)
    result = torch.empty_like(scores)
    result[torch.from_numpy(np.concatenate(places))] = scores
    return result


def evaluate(
    model: Model,
    preprocessing: Preprocessing,
    rows: Sequences,
    *,
    batch_size: int = 256,
    device: torch.device | str = "cpu",
) -> Scores:
    """Over the rows that have a label; there must be one."""
    labelled = rows.select(np.flatnonzero(rows.labels >= 0))
    scores = logits(model, preprocessing, labelled, batch_size=batch_size, device=device)
    loss = float(F.cross_entropy(scores, torch.from_numpy(labelled.labels)))
    return Scores.of(labelled.labels, scores.argmax(dim=1).numpy(), scores.shape[1], loss)
