"""The peak of the machine's matrix product, which a recurrence cannot beat: GFLOP/s in float32."""

from __future__ import annotations

import torch

from backcast.benchmark.work.base import Work as Base
from backcast.benchmark.work.base import seconds

SIZES, REPEATS = (512, 1024, 2048), 3


class Work(Base):
    """The best of three sizes, each the best of three runs."""

    def prepare(self, tiny: bool) -> int:
        sizes = (64,) if tiny else SIZES
        self.squares = [(torch.randn(size, size), torch.empty(size, size)) for size in sizes]
        return sum(square.nbytes + out.nbytes for square, out in self.squares)

    def run(self) -> dict[str, float]:
        best = 0.0
        for square, out in self.squares:
            taken = min(seconds(lambda a=square, b=out: torch.matmul(a, a, out=b)) for _ in range(REPEATS))  # type: ignore[misc]
            best = max(best, 2 * len(square) ** 3 / taken)
        return {"gflops": best / 1e9}
