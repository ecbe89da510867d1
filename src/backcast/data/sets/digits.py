"""Digits, then silence: the embedded data set that shows what the method is for."""

from __future__ import annotations

import numpy as np

from backcast.data.sequences import Picture, Sequences, Splits

SILENCE = 64
TEST_SHARE = 4  # one row in four, as in the first trials of this project


def load_digits_silence() -> Splits:
    """scikit-learn's 8×8 digits, one pixel per step, then 64 blank steps: T = 128, 10 classes.

    All that matters lies 64 to 128 steps before the end. 1,347 rows to train on and 450 to test on, always split
    in the same way, by class.
    """
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    digits = load_digits()
    pixels = digits.data.astype(np.float32) / 16.0
    x = np.concatenate([pixels, np.zeros((len(pixels), SILENCE), np.float32)], axis=1)
    train, test = train_test_split(
        np.arange(len(x)), test_size=1 / TEST_SHARE, stratify=digits.target, random_state=0
    )
    steps = x.shape[1]
    everything = Sequences(
        name="digits-silence",
        kind="real",
        values=x.reshape(-1, 1),
        starts=np.arange(len(x), dtype=np.int64) * steps,
        lengths=np.full(len(x), steps, np.int64),
        labels=digits.target.astype(np.int64),
        classes=tuple(range(10)),
        ids=np.arange(len(x)),
        picture=Picture(steps // 8, 8),
    )
    return Splits(everything.select(train), everything.select(test))
