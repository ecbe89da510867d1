"""Seconds of one training step at the paper's settings on MNIST's shape: T = 784, batch 128, hidden 128.

    python benchmarks/step.py [--rounds 5] [--rows 128] [--length 784]

The contenders take turns; medians; ratios to the LSTM truncated to 300 steps. The pixels are random: speed
does not depend on them.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time

os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")  # as the command does

import numpy as np
import torch

torch.set_flush_denormal(True)

from backcast.batch import Batch
from backcast.build import build_network
from backcast.config import resolve
from backcast.data.preprocessing import Preprocessing
from backcast.methods import phases
from backcast.objectives import Draw, losses
from backcast.presets import PAPER
from backcast.machine import processor

CONTENDERS = {
    "lstm, truncated 300": {"method": "lstm"},
    "lstm, full BPTT": {"method": "lstm", "truncation": None},
    "r-lstm 1×600, teacher forced, not cut": {"decoder_input": "fed", "decoder_truncation": None},
    "r-lstm 1×600, teacher forced, cut every 300": {"decoder_input": "fed"},
    "r-lstm 1×600, scheduled sampling, cut every 300": {},
    "r-lstm 20×30, teacher forced": {"decoder_input": "fed", "anchors": 20, "segment_length": 30},
    "p-lstm 1×600": {"method": "p-lstm"},
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=128)
    parser.add_argument("--length", type=int, default=784)
    arguments = parser.parse_args()
    x = torch.randn(arguments.rows, arguments.length, 1, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(arguments.rows) % 10
    batch = Batch(x, np.full(arguments.rows, arguments.length), labels, np.arange(arguments.rows))
    cases = {}
    for name, settings in CONTENDERS.items():
        for precision in ("fp32", "bf16"):
            config = resolve([PAPER, settings])
            network = build_network(config, Preprocessing(0, 1, (0.0,), (1.0,)), 10)
            cases[name, precision] = (network, list(phases(config)[-1].objectives))

    def step(name: str, precision: str) -> float:
        network, objectives = cases[name, precision]
        began = time.perf_counter()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bf16"):
            terms = losses(network, objectives, batch, Draw(0, 0, 1000))
        torch.stack([term.total / term.count for term in terms.values()]).sum().backward()
        network.zero_grad()
        return time.perf_counter() - began

    seconds: dict[tuple[str, str], list[float]] = {case: [] for case in cases}
    for turn in range(arguments.rounds + 1):
        for case in cases:
            taken = step(*case)
            if turn:  # the first turn warms up
                seconds[case].append(taken)
    base = statistics.median(seconds["lstm, truncated 300", "fp32"])
    print(
        f"{processor()}, {torch.get_num_threads()} threads, torch {torch.__version__}, batch {arguments.rows}, T {arguments.length}\n"
    )
    print("| | fp32 (s a step) | ratio | bf16 (s a step) | ratio |\n|---|---|---|---|---|")
    for name in CONTENDERS:
        one, other = (statistics.median(seconds[name, precision]) for precision in ("fp32", "bf16"))
        print(f"| {name} | {one:.3f} | {one / base:.2f} | {other:.3f} | {other / base:.2f} |")


if __name__ == "__main__":
    main()
