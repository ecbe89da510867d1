"""What a trained network says about whole rows, in memory that does not grow with their length."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from backcast.batch import Batch
from backcast.data.batching import by_length
from backcast.data.preprocessing import Preprocessing
from backcast.data.sequences import Sequences
from backcast.errors import RunError
from backcast.metrics import Scores
from backcast.nn.model import Model
from backcast.sweep import sweep

ROWS_AT_ONCE = 256


def last_outputs(model: Model, batch: Batch) -> Tensor:
    """What is classified, (B, H), no graph: the output at each row's last step, or an attention network's average."""
    if not model.recurrent:
        with torch.no_grad():
            output: Tensor = model.encoder(batch.slice(0, int(batch.lengths.max())), batch.lengths)
        return output
    return outputs_at(model, batch, batch.lengths[:, None])[:, 0]


def outputs_at(model: Model, batch: Batch, steps: NDArray[np.int64]) -> Tensor:
    """A recurrent network's outputs (B, m, H) after the first `steps` (B, m), 1 .. length, of each row; no graph."""
    states = sweep(model.encoder, batch, steps - 1)
    with torch.no_grad():
        outputs, _ = model.encoder(batch.take(steps[:, :, None] - 1), states)
    found: Tensor = outputs[:, 0].unflatten(0, steps.shape)
    return found


def logits(
    model: Model,
    preprocessing: Preprocessing,
    rows: Sequences,
    *,
    batch_size: int = ROWS_AT_ONCE,
    device: torch.device | str = "cpu",
) -> Tensor:
    """The classifier's logits for all rows in order, (n, classes), on the CPU."""
    assert model.classifier is not None
    return features(model, preprocessing, rows, batch_size=batch_size, device=device, head=model.classifier)


def features(
    model: Model,
    preprocessing: Preprocessing,
    rows: Sequences,
    *,
    batch_size: int = ROWS_AT_ONCE,
    device: torch.device | str = "cpu",
    head: Callable[[Tensor], Tensor] = lambda outputs: outputs,
) -> Tensor:
    """`head` of the last outputs of all rows in order, (n, ...), on the CPU. Rows of similar length are read together.

    Raises RunError where one of them is not finite.
    """
    found, places = [], by_length(rows.lengths, batch_size)
    for which in places:
        batch = preprocessing.batch(rows, which, device)
        with torch.no_grad():
            found.append(head(last_outputs(model, batch)).cpu())
    values = torch.cat(found)
    result = torch.empty_like(values)
    result[torch.from_numpy(np.concatenate(places))] = values
    _require_finite(result, rows)
    return result


def _require_finite(outputs: Tensor, rows: Sequences) -> None:
    """NaN would be answered with the first class."""
    bad = (~torch.isfinite(outputs)).flatten(1).any(dim=1)
    if bad.any():
        row = int(bad.int().argmax())
        raise RunError(
            f"{rows.name}: the network's output for {rows.called(row)}, {rows.lengths[row]:,} steps, is not finite: its state "
            "has overflowed. Train with a lower learning rate, on rows as long as that, or with a method that has gates, like "
            "r-lstm"
        )


def evaluate(
    model: Model,
    preprocessing: Preprocessing,
    rows: Sequences,
    *,
    batch_size: int = ROWS_AT_ONCE,
    device: torch.device | str = "cpu",
) -> Scores:
    """Scores over the labelled rows, each with its weight; there must be one."""
    labelled = rows.select(np.flatnonzero(rows.labelled))
    scores = logits(model, preprocessing, labelled, batch_size=batch_size, device=device)
    losses = F.cross_entropy(scores, torch.from_numpy(labelled.labels), reduction="none")
    loss = _mean(losses, labelled)
    return Scores.of(labelled.labels, scores.argmax(dim=1).numpy(), scores.shape[1], loss, labelled.weights)


def squared_error(
    model: Model,
    preprocessing: Preprocessing,
    rows: Sequences,
    *,
    batch_size: int = ROWS_AT_ONCE,
    device: torch.device | str = "cpu",
) -> float:
    """A regression's mean squared error over the rows with a target, each with its weight; there must be one."""
    taught = rows.select(np.flatnonzero(rows.labelled))
    assert taught.targets is not None
    predicted = logits(model, preprocessing, taught, batch_size=batch_size, device=device)[:, 0]
    return _mean((predicted - torch.from_numpy(taught.targets)).square(), taught)


def _mean(losses: Tensor, rows: Sequences) -> float:
    return float(losses.mean() if rows.weights is None else np.average(losses.numpy(), weights=rows.weights))
