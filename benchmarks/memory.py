"""Peak memory of one training step against the length of the rows.

    python benchmarks/memory.py                 r-LSTM and p-LSTM at the paper's settings, three lengths
    python benchmarks/memory.py --full          full BPTT beside them, as far as it fits

Each measurement is a process of its own: peak resident memory over a first, tiny step, less the input itself.
Batch 32, hidden 128, truncation 300, one segment of 600.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys

LENGTHS = (1_024, 16_384, 131_072)


def measure(method: str, length: int, full: bool) -> dict[str, float]:
    """In this process: megabytes that a step at `length` adds, and what it keeps for backward."""
    import numpy as np
    import torch

    torch.set_flush_denormal(True)
    from backcast.activations import activation_bytes
    from backcast.batch import Batch
    from backcast.build import build_network
    from backcast.config import resolve
    from backcast.data.preprocessing import Preprocessing
    from backcast.methods import phases
    from backcast.objectives import Draw, losses
    from backcast.presets import PAPER

    config = resolve([PAPER, {"method": method, "truncation": None if full else 300}])
    network = build_network(config, Preprocessing(0, 1, (0.0,), (1.0,)), 10)
    objectives = list(phases(config)[-1].objectives)

    def batch(steps: int) -> Batch:
        x = torch.randn(32, steps, 1, generator=torch.Generator().manual_seed(0))
        return Batch(x, np.full(32, steps), torch.zeros(32, dtype=torch.int64), np.arange(32))

    def step(rows: Batch) -> int:
        kept = activation_bytes(
            lambda: losses(network, objectives, rows, Draw(0, 0, 0)), network.parameters()
        )
        terms = losses(network, objectives, rows, Draw(0, 0, 0))
        torch.stack([term.total / max(term.count, 1) for term in terms.values()]).sum().backward()
        return kept

    step(batch(8))  # libraries, threads and buffers that are there at any length
    rows = batch(length)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    kept = step(rows)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "peak": (peak * 1024 - rows.x.nbytes) / 1e6,
        "added": (peak - before) * 1024 / 1e6,
        "kept": kept / 1e6,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--lengths", type=int, nargs="+", default=list(LENGTHS))
    parser.add_argument("--one", nargs=3, metavar=("METHOD", "LENGTH", "FULL"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        method, length, full = arguments.one
        print(json.dumps(measure(method, int(length), full == "full")))
        return
    rows = [(method, length, "truncated") for method in ("r-lstm", "p-lstm") for length in arguments.lengths]
    if arguments.full:
        rows += [("lstm", length, "full") for length in arguments.lengths if length <= 16_384]
    print(
        "| method | T | peak, less the input (MB) | of which the step (MB) | kept for backward (MB) |\n|---|---|---|---|---|"
    )
    for method, length, full in rows:
        command = [sys.executable, __file__, "--one", method, str(length), full]
        found = json.loads(
            subprocess.run(command, check=True, capture_output=True, text=True, env=os.environ).stdout
        )
        name = f"{method}{', full BPTT' if full == 'full' else ''}"
        print(
            f"| {name} | {length:,} | {found['peak']:.0f} | {found['added']:.0f} | {found['kept']:.1f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
