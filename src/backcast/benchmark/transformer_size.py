"""The width at which a Transformer encoder has as many parameters as an LSTM with its embedding."""

from __future__ import annotations

HEADS, LAYERS, WIDER = 4, 2, 4


def lstm_parameters(hidden: int, channels: int, embedding: int = 128) -> int:
    """Embedding, then one LSTM layer with both of its biases."""
    return embedding * (channels + 1) + 4 * hidden * (hidden + embedding + 2)


def transformer_parameters(width: int, channels: int) -> int:
    """Embedding, then the layers: attention, a feed-forward network `WIDER` times as wide, two norms."""
    attention, norms = 4 * width * (width + 1), 4 * width
    forward = 2 * WIDER * width * width + (WIDER + 1) * width
    return width * (channels + 1) + LAYERS * (attention + norms + forward)


def width_like(parameters: int, channels: int) -> int:
    """The width, a multiple of the heads, whose number of parameters is nearest to `parameters`."""
    widths = range(HEADS, 4096, HEADS)
    return min(widths, key=lambda width: abs(transformer_parameters(width, channels) - parameters))
