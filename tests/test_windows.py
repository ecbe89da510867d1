"""Anchors, places and windows: every legal one, each equally likely, no other."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backcast import rng, windows


def legal(total: int, length: int, future: bool, distant: bool) -> dict[int, range]:
    """The places b for each anchor a, straight from the method's page."""
    found = {}
    for a in range(1, total + 1):
        low = 0 if distant else max(0, a - length - 1)
        high = min(a, total - 1 - length) if future else a - length - 1
        if high >= low and (future or a >= length + 1):
            found[a] = range(low, high + 1)
    return found


@pytest.mark.parametrize("future", [True, False])
@pytest.mark.parametrize("distant", [True, False])
def test_anchors_and_places_are_all_the_legal_ones_and_uniform(future: bool, distant: bool) -> None:
    total, length, draws = 9, 3, 60_000
    rows = np.arange(draws)
    found = windows.draw_reconstruction(
        np.full(draws, total),
        length,
        rng.uniform(rows, 1, 0, "a"),
        rng.uniform(rows, 1, 0, "b"),
        future,
        distant,
    )
    expected = legal(total, length, future, distant)
    anchors = Counter(found.anchors.ravel().tolist())
    assert anchors.keys() == expected.keys()
    for anchor, count in anchors.items():
        share = draws / len(expected)
        assert abs(count - share) < 5 * share**0.5
        places = Counter(found.places[found.anchors == anchor].tolist())
        assert places.keys() == set(expected[anchor])
        for number in places.values():
            each = count / len(expected[anchor])
            assert abs(number - each) < 5 * each**0.5


def test_prediction_anchors_are_all_the_legal_ones_and_uniform() -> None:
    total, length, draws = 9, 3, 60_000
    found = windows.draw_prediction(np.full(draws, total), length, rng.uniform(np.arange(draws), 1, 0))
    counts = Counter(found.anchors.ravel().tolist())
    assert counts.keys() == set(range(total - length))
    share = draws / len(counts)
    assert all(abs(count - share) < 5 * share**0.5 for count in counts.values())


@given(
    st.integers(1, 40), st.integers(1, 60), st.booleans(), st.booleans(),
    st.floats(0, 1, exclude_max=True), st.floats(0, 1, exclude_max=True),
)  # fmt: skip
def test_any_length_against_any_row_stays_inside_the_row(
    total: int, length: int, future: bool, distant: bool, u: float, v: float
) -> None:
    one = np.array([[u]]), np.array([[v]])
    found = windows.draw_reconstruction(np.array([total]), length, *one, future, distant)
    anchor, place, size = (int(part[0, 0]) for part in found)
    assert size == min(length, total - 1)
    assert 1 <= anchor <= total and place >= 0 and place + size <= total - 1
    if not future:
        assert place + size < anchor
    if not distant:
        assert place >= anchor - size - 1
    anchor, place, size = (
        int(part[0, 0]) for part in windows.draw_prediction(np.array([total]), length, one[0])
    )
    assert anchor == place and anchor >= 0 and anchor + size <= total - 1


def test_windows_before_an_anchor_begin_at_zero_at_the_earliest() -> None:
    assert windows.window_starts(np.array([[2, 5, 9]]), 5).tolist() == [[0, 0, 4]]


def test_segments_are_met_forwards_or_backwards_and_padding_is_masked() -> None:
    places, lengths = np.array([[2, 4]]), np.array([[3, 1]])
    assert windows.segment_positions(places, lengths, False)[0].tolist() == [[2, 3, 4, 5], [4, 5, 6, 7]]
    assert windows.segment_positions(places, lengths, True)[0].tolist() == [[5, 4, 3, 2], [5, 4, 3, 2]]
    assert windows.target_mask(lengths)[0].tolist() == [[True, True, True], [True, False, False]]


def test_randomness_depends_on_its_key_and_row_alone() -> None:
    together = rng.uniform(np.array([3, 7, 11]), 2, 0, "anchor", 5)
    alone = rng.uniform(np.array([7]), 2, 0, "anchor", 5)
    assert (together[1] == alone[0]).all()
    assert (rng.uniform(np.array([7]), 1, 0, "anchor", 5) == alone[:, :1]).all()
    others = [
        rng.uniform(np.array([7]), 2, *key) for key in ((1, "anchor", 5), (0, "place", 5), (0, "anchor", 6))
    ]
    assert not any((other == alone).any() for other in others)
