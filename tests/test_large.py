"""Data that are larger than what may be in memory, in small: resident bytes are counted."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

MB = 1 << 20
TRAIN = """
import resource, sys, threading, time
from backcast import Config, train

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()

def settings(data):
    return Config(data=data, method="r-lstm", hidden_size=4, embedding_size=4, feedforward_size=4, anchors=2, segment_length=20,
                  truncation=20, pretrain_epochs=1, epochs=0, batch_size=8, device="cpu")

train(settings(sys.argv[1]), sys.argv[3] + "/small")  # what libraries and the network itself take
before, peak, done = resident(), 0, threading.Event()

def watch():
    global peak
    while not done.is_set():
        peak = max(peak, resident())
        time.sleep(0.002)

watcher = threading.Thread(target=watch)
watcher.start()
train(settings(sys.argv[2]), sys.argv[3] + "/large")
done.set()
watcher.join()
print(peak - before)
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="resident bytes are read from /proc")
@pytest.mark.parametrize("shape", [(1, 24_000_000), (12_000, 2_000)], ids=["one long row", "many rows"])
def test_training_holds_neither_a_row_nor_the_data_set(tmp_path: Path, shape: tuple[int, int]) -> None:
    np.save(tmp_path / "small.npy", np.random.default_rng(0).normal(size=(8, 2000)).astype(np.float32))
    large = np.lib.format.open_memmap(tmp_path / "large.npy", "w+", np.float32, shape)
    large[:] = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    large.flush()
    size = large.nbytes
    del large
    files = [str(tmp_path / name) for name in ("small.npy", "large.npy")]
    found = subprocess.run(
        [sys.executable, "-c", TRAIN, *files, str(tmp_path)], capture_output=True, text=True, check=True
    )
    grown = int(found.stdout)
    assert size >= 90 * MB > 2 * grown, (
        f"{grown / MB:.0f} MB more than for a small set; the data are {size / MB:.0f} MB"
    )
