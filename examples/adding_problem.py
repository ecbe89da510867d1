"""The adding problem (Hochreiter & Schmidhuber 1997): two of T numbers are marked; the network gives their sum.

    python examples/adding_problem.py irnn --steps 50
    python examples/adding_problem.py urnn --steps 100

One of backcast's recurrent networks in your own training loop, for a target that is a number. Always answering 1 gives
a mean squared error of 0.167. The program ends at an error below 0.01 on 1,000 unseen rows (solved, exit status 0), or
after --updates (exit status 1).
"""

from __future__ import annotations

import argparse
import sys
import time

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from backcast import process
from backcast.arguments import whole
from backcast.build import RECURRENT
from backcast.nn.embedding import Embedding
from backcast.nn.initialise import initialise

SOLVED = 0.01


def rows(count: int, steps: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """x (count, steps, 2): a number in 0 .. 1, and 1 where it is marked, once in each half; and the sums (count,)."""
    numbers = torch.rand(count, steps, generator=generator)
    marks = torch.zeros(count, steps)
    for low, high in ((0, steps // 2), (steps // 2, steps)):
        marks.scatter_(1, torch.randint(low, high, (count, 1), generator=generator), 1.0)
    return torch.stack([numbers, marks], dim=2), (numbers * marks).sum(dim=1)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("network", choices=sorted(RECURRENT))
    parser.add_argument("--steps", type=whole(2), default=50, help="T (default: 50)")
    parser.add_argument("--hidden-size", type=int, default=128, help="(default: 128)")
    parser.add_argument("--learning-rate", type=float, default=2e-3, help="of Adam (default: 0.002)")
    parser.add_argument("--updates", type=int, default=20_000, help="at most (default: 20000)")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    process.prepare()

    encoder = RECURRENT[arguments.network](Embedding(0, 2, 0), arguments.hidden_size)
    network = nn.ModuleDict({"encoder": encoder, "output": nn.Linear(encoder.output_size, 1)})
    initialise(network, arguments.seed)

    def predict(x: Tensor) -> Tensor:
        outputs, _ = encoder(x, encoder.zero_state(len(x)))
        return network["output"](outputs[:, -1])[:, 0]

    generator = torch.Generator().manual_seed(arguments.seed)
    test_x, test_sums = rows(1_000, arguments.steps, generator)
    optimizer = torch.optim.Adam(network.parameters(), lr=arguments.learning_rate)
    began = time.monotonic()
    for update in range(1, arguments.updates + 1):
        x, sums = rows(64, arguments.steps, generator)
        optimizer.zero_grad()
        F.mse_loss(predict(x), sums).backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        if update % 200 == 0 or update == arguments.updates:
            with torch.no_grad():
                error = float(F.mse_loss(predict(test_x), test_sums))
            print(f"{update:>6} updates, {time.monotonic() - began:4.0f} s: error {error:.4f}", flush=True)
            if error < SOLVED:
                print("solved")
                return 0
    print(f"not solved: the error is not below {SOLVED}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
