"""Where gradients are needed: anchors, windows and segments, as integers.

    time    0 ............................................................ T
    window              [---    k     ---) a           [---  truncation  ---)
    r-LSTM              the decoder goes from the state at a to a segment around or before a
    p-LSTM                               a[---   l   ---)  the main LSTM reads on with a graph

Indices (all intervals are half open): the state after reading x[0:t] is s_t, s_0 = zeros. A segment of
length l has l targets and one more element that is fed: l + 1 elements at b .. b+l. A row of T steps has
segments of length min(l, T - 1); T = 1 has none.

The functions are pure. Randomness comes in as numbers in [0, 1), shape (B, n): n anchors per row, each row and
each anchor with its own. Source: the paper's section 3; the indices are this project's reading of it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]


class Segments(NamedTuple):
    """n segments per row, each field (B, n): the anchor a, the place b of the first element, the number of targets."""

    anchors: Integers
    places: Integers
    lengths: Integers


def window_starts(ends: Integers, truncation: int) -> Integers:
    """The start of the window of `truncation` steps that ends at `ends`; 0 where fewer steps come before."""
    return np.maximum(ends - truncation, 0)


def window_positions(starts: Integers, lengths: Integers) -> Integers:
    """The steps of windows from `starts` (B, m) on, as many as the longest of `lengths`: (B, m, max(lengths)).

    Entries after a window's own end are padding.
    """
    return starts[:, :, None] + np.arange(int(lengths.max()))


def draw_reconstruction(
    row_lengths: Integers,
    segment_length: int,
    anchor_draw: Floats,
    place_draw: Floats,
    predict_future: bool = True,
    distant_past: bool = True,
) -> Segments:
    """Anchors and places for r-LSTM. `row_lengths` (B,), the draws (B, n).

    The anchor a is uniform in 1 .. T; the place b is uniform in

        0 .. min(a, T-1-l)         the full setting: the segment may spread past the anchor
        0 .. a-l-1                 predict_future off: the segment ends at or before a
        max(0, a-l-1) .. min(a, T-1-l)    distant_past off: only the immediate past
        a-l-1                      both off: the last l + 1 elements before a

    With predict_future off an anchor needs l + 1 elements before it, so a is uniform in l+1 .. T there
    (not stated in the paper).
    """
    total = row_lengths[:, None]
    lengths = np.minimum(segment_length, total - 1) + np.zeros(anchor_draw.shape, np.int64)
    first_anchor = 1 if predict_future else lengths + 1
    anchors = _uniform_integer(first_anchor, total, anchor_draw)
    earliest = 0 if distant_past else np.maximum(anchors - lengths - 1, 0)
    latest = np.minimum(anchors, total - 1 - lengths) if predict_future else anchors - lengths - 1
    return Segments(anchors, _uniform_integer(earliest, latest, place_draw), lengths)


def draw_prediction(row_lengths: Integers, segment_length: int, anchor_draw: Floats) -> Segments:
    """Anchors for p-LSTM: a uniform in 0 .. T-1-l; the elements x[a] .. x[a+l], so the place is a itself."""
    total = row_lengths[:, None]
    lengths = np.minimum(segment_length, total - 1) + np.zeros(anchor_draw.shape, np.int64)
    anchors = _uniform_integer(0, total - 1 - lengths, anchor_draw)
    return Segments(anchors, anchors, lengths)


def segment_positions(places: Integers, lengths: Integers, backwards: bool) -> Integers:
    """The order in which a decoder meets the l + 1 elements of each segment: (B, n, max(l) + 1).

    Forwards b, b+1, .., b+l; backwards b+l, .., b+1, b. The first is fed, the others are the targets.
    Entries after a segment's own last target are padding, to be masked by `target_mask`.
    """
    order = np.arange(int(lengths.max()) + 1)
    if backwards:
        return (places + lengths)[:, :, None] - order
    return places[:, :, None] + order


def target_mask(lengths: Integers) -> NDArray[np.bool_]:
    """True where a target is the segment's own and not padding: (B, n, max(l))."""
    return np.arange(int(lengths.max())) < lengths[:, :, None]


def _uniform_integer(low: Integers | int, high: Integers, draw: Floats) -> Integers:
    """An integer in low .. high, both included, all equally likely."""
    return low + np.floor(draw * (high - low + 1)).astype(np.int64)
