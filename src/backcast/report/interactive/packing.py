"""Arrays as short text: few bits a number, in base64."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backcast.report.memory import MOST_ERROR

UNKNOWN = {"u1": 255, "u2": 65_535, "u4": 4_294_967_295}
"""What stands for nan."""


def pack(values: NDArray[Any], type: str) -> dict[str, str]:
    """`values`, which must fit the little-endian `type` (u1, u2, u4, f4), as {"type", "data"}."""
    return {"type": type, "data": base64.b64encode(values.astype(f"<{type}").tobytes()).decode()}


def pack_scaled(values: NDArray[np.float64], low: Any, high: Any) -> dict[str, str]:
    """Numbers as 0 (low) .. 254 (high), clipped to these; `low` and `high` broadcast."""
    span = np.where(np.asarray(high) > low, np.asarray(high) - low, 1.0)
    codes = np.clip(np.rint((values - low) / span * 254), 0, 254)
    return pack(np.where(np.isnan(codes), UNKNOWN["u1"], codes), "u1")


def pack_codes(codes: NDArray[np.float64]) -> dict[str, str]:
    """Whole numbers from 0, in two bytes each, or in four where one is too large for that."""
    type = "u2" if np.nanmax(codes, initial=0) < UNKNOWN["u2"] else "u4"
    return pack(np.where(np.isnan(codes), UNKNOWN[type], codes), type)


def pack_errors(errors: NDArray[np.float64]) -> dict[str, str]:
    """Errors from 0, in steps of about a two-hundredth."""
    return pack_scaled(errors, 0.0, MOST_ERROR)
