"""The kernel's pass through a decoder that is fed its own output."""

from __future__ import annotations

import ctypes
from typing import NamedTuple

import torch
from torch import Tensor

from backcast.kernel.call import (
    addresses,
    fields,
    functions,
    require_layer,
    require_shape,
    require_symbols,
    run,
    threads_for,
)


class _Decode(ctypes.Structure):
    _fields_ = fields(
        "threads rows steps channels symbols cues hidden wide outputs",
        "truth feed_truth uniform h0 c0 bottom_input bottom_recurrent bottom_base place cue top_input top_recurrent top_base "
        "first first_bias second second_bias last last_bias fed",
    )


class Maps(NamedTuple):
    """A layer's weights: input map (4H, I) or None for symbols, recurrent map (4H, H), base (4H,) or (symbols, 4H)."""

    input: Tensor | None
    recurrent: Tensor
    base: Tensor


def decode(
    truth: Tensor,
    feed_truth: Tensor,
    uniform: Tensor,
    h: Tensor,
    c: Tensor,
    bottom: Maps,
    cue: tuple[Tensor, Tensor] | None,
    top: Maps | None,
    feedforward: list[Tensor],
) -> Tensor:
    """What the decoder is fed: the truth, or its own output of the step before; (N, L[, C]) like `truth`, no graph.

    truth        (N, L, C), or symbols (N, L); the first element is always fed
    feed_truth   (N, L) bool
    uniform      (N, L) in [0, 1): its own symbol is the one where the running sum of its softmax passes this
    h, c         (N, H), the bottom layer's first state
    cue          (N, L) int64 and (cues, 4H): which of the cues is added to the bottom layer's gates at a step; or None
    feedforward  weight and bias of each of its three layers

    Raises ValueError for weights that do not fit together.
    """
    symbols = truth.ndim == 2
    rows, length = truth.shape[:2]
    truth = truth.contiguous()
    if symbols:
        require_symbols(truth, len(bottom.base))
    if cue is not None:
        require_symbols(cue[0], len(cue[1]))
        require_shape("cue", cue[1], (len(cue[1]), 4 * h.shape[1]))
    _require_shapes(truth, h, bottom, top, feedforward)
    optional = [*(cue or (None, None)), *(top or (None, None, None))]
    parts = [feed_truth, uniform.to(h.dtype), h, c, *bottom, *optional, *feedforward]
    dense = [None if part is None else part.detach().contiguous() for part in parts]
    fed = torch.empty_like(truth)
    call = _Decode(
        threads_for(rows), rows, length, 0 if symbols else truth.shape[2], len(bottom.base) if symbols else 0,
        0 if cue is None else len(cue[1]), h.shape[1], feedforward[0].shape[0], feedforward[-1].shape[0], *addresses(truth, *dense, fed),
    )  # fmt: skip
    run(functions().backcast_decode, call)
    return fed


def _require_shapes(
    truth: Tensor, h: Tensor, bottom: Maps, top: Maps | None, feedforward: list[Tensor]
) -> None:
    """Raises ValueError for weights that do not fit together, which the kernel does not check."""
    hidden = h.shape[1]
    require_layer("bottom.", bottom, hidden, None if truth.ndim == 2 else truth.shape[2])
    if top is not None:
        require_layer("top.", top, hidden, hidden)
    first, first_bias, second, second_bias, last, last_bias = feedforward
    wide, outputs = len(first), len(last)
    require_shape("first", first, (wide, hidden))
    require_shape("second", second, (wide, wide))
    require_shape("last", last, (outputs, wide))
    for name, bias, width in (
        ("first", first_bias, wide),
        ("second", second_bias, wide),
        ("last", last_bias, outputs),
    ):
        require_shape(f"{name} bias", bias, (width,))
