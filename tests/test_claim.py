"""The paper's claim at toy size: r-LSTM learns what neither LSTM does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from backcast.config import resolve
from backcast.history import read_metrics
from backcast.run import train

STEPS, BITS = 64, 4


def test_r_lstm_learns_what_neither_a_truncated_nor_a_full_lstm_learns(tmp_path: Path) -> None:
    """Four random bits, then 60 blank steps; the class is the first two bits. Gradients reach 8 steps back."""
    generator = np.random.default_rng(0)
    x = np.zeros((640, STEPS), np.float32)
    x[:, :BITS] = generator.choice([-1.0, 1.0], (640, BITS))
    np.savez(tmp_path / "bits.npz", x=x, y=(x[:, 0] > 0) * 2 + (x[:, 1] > 0))
    common: dict[str, Any] = {
        "data": str(tmp_path / "bits.npz"), "validation": 0.25, "device": "cpu", "batch_size": 32,
        "hidden_size": 32, "embedding_size": 16, "feedforward_size": 64, "dropconnect": 0.0,
        "truncation": 8, "aux_truncation": 8, "segment_length": 8, "anchors": 8,
        "learning_rate": 5e-3, "pretrain_learning_rate": 5e-3,
    }  # fmt: skip

    def best(name: str, **settings: Any) -> float:
        train(resolve([common, settings]), tmp_path / name)
        entries = read_metrics(tmp_path / name / "metrics.jsonl")
        return max(entry.get("validation_accuracy", 0.0) for entry in entries)

    truncated = best("truncated", method="lstm", epochs=30)
    full = best("full", method="lstm", epochs=30, truncation=None)
    reconstructing = best("r-lstm", method="r-lstm", pretrain_epochs=15, epochs=15)
    assert truncated < 0.4 and full < 0.4, "chance is a quarter"
    assert reconstructing > 0.5
