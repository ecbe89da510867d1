"""The slow definitions: one row, one segment and one step at a time, as section 2 of the method's page says.

They share nothing with the package but the weights.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from backcast.nn.feedforward import FeedForward
from backcast.nn.lstm import LSTMLayer
from backcast.nn.model import Model


def lstm_step(layer: LSTMLayer, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """One step of one row: x (input_size,), h and c (H,)."""
    lstm = layer.lstm
    gates = lstm.weight_ih_l0 @ x + lstm.bias_ih_l0 + lstm.weight_hh_l0 @ h + lstm.bias_hh_l0
    i, f, g, o = gates.chunk(4)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


def embed(model: Model, element: Tensor) -> Tensor:
    return model.encoder.embedding(element[None, None])[0, 0]


def feed_forward(network: FeedForward, x: Tensor) -> Tensor:
    x = F.relu(network.first.weight @ x + network.first.bias)
    x = F.relu(network.second.weight @ x + network.second.bias)
    return network.last.weight @ x + network.last.bias


def state_at(model: Model, row: Tensor, step: int, cut: int) -> tuple[Tensor, Tensor]:
    """(h, c) after reading row[0:step]; the gradient stops before row[cut]."""
    h = c = torch.zeros(model.encoder.output_size, dtype=torch.float64)
    for t in range(step):
        if t == cut:
            h, c = h.detach(), c.detach()
        h, c = lstm_step(model.encoder.layer, embed(model, row[t]), h, c)
    if step == cut:
        h, c = h.detach(), c.detach()
    return h, c


def classification(model: Model, row: Tensor, label: Tensor, truncation: int) -> Tensor:
    h, _ = state_at(model, row, len(row), max(len(row) - truncation, 0))
    h = h.detach() if truncation == 0 else h
    return F.cross_entropy(feed_forward(model.classifier, h), label)


def element_loss(model: Model, predicted: Tensor, target: Tensor) -> Tensor:
    if model.symbols:
        return F.cross_entropy(predicted, target)
    return ((predicted - target) ** 2).mean()


def sine_cue(place: int, width: int) -> Tensor:
    half = (width + 1) // 2
    angles = [place / 10_000 ** (k / half) for k in range(half)]
    return torch.tensor([torch.tensor(a, dtype=torch.float64).sin() for a in angles]
                        + [torch.tensor(a, dtype=torch.float64).cos() for a in angles], dtype=torch.float64)[:width]  # fmt: skip


def reconstruction(
    model: Model,
    row: Tensor,
    anchor: int,
    place: int,
    length: int,
    truncation: int,
    backwards: bool,
    decoder_truncation: int | None = None,
    unfed: bool = False,
    feed_truth: list[bool] | None = None,
    uniform: list[float] | None = None,
) -> Tensor:
    """The sum of the segment's losses. `feed_truth[j]`: is step j fed the truth or the decoder's own output?

    Of symbols its own output is drawn: the first at which the running sum of the softmax is above uniform[j].
    """
    decoder = model.decoder
    h1, c1 = state_at(model, row, anchor, max(anchor - truncation, 0))
    h2 = c2 = torch.zeros_like(h1)
    order = range(place + length, place - 1, -1) if backwards else range(place, place + length + 1)
    total = torch.zeros((), dtype=torch.float64)
    own = None
    for j in range(length):
        if decoder_truncation and j and j % decoder_truncation == 0:
            h1, c1, h2, c2 = h1.detach(), c1.detach(), h2.detach(), c2.detach()
        truth = row[order[j]]
        fed = truth if own is None or feed_truth is None or feed_truth[j] else own
        if model.symbols and fed is not truth:
            shares = fed.softmax(dim=0).tolist()
            fed = torch.tensor(next(k for k in range(len(shares)) if sum(shares[: k + 1]) > uniform[j]))
        vector = embed(model, fed)
        if unfed and j:
            vector = torch.zeros_like(vector)
        if decoder.position_cue:
            vector = vector + sine_cue(order[j + 1], len(vector))
        h1, c1 = lstm_step(decoder.bottom, vector, h1, c1)
        h2, c2 = lstm_step(decoder.top, h1, h2, c2)
        predicted = feed_forward(decoder.output, h2)
        own = predicted.detach()
        total = total + element_loss(model, predicted, row[order[j + 1]])
    return total


def prediction(model: Model, row: Tensor, anchor: int, length: int) -> Tensor:
    """The sum of the losses of x[a+1] .. x[a+l]."""
    h, c = state_at(model, row, anchor, anchor)
    ph = pc = torch.zeros_like(h)
    total = torch.zeros((), dtype=torch.float64)
    for t in range(anchor, anchor + length):
        h, c = lstm_step(model.encoder.layer, embed(model, row[t]), h, c)
        ph, pc = lstm_step(model.predictor.layer, h, ph, pc)
        total = total + element_loss(model, feed_forward(model.predictor.output, ph), row[t + 1])
    return total
