"""The machine's peak in matrix products, which a recurrence cannot beat: GFLOP/s in float32."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from backcast import kernel
from backcast.benchmark.work.base import Work as Base
from backcast.benchmark.work.base import seconds

SIZES, REPEATS = (512, 1024, 2048), 3
ROWS, WIDTH = 16_384, 256


class Work(Base):
    """The best of torch's product in three sizes and of our kernel's, each the best of three runs.

    Both, because torch's library is not tuned for every processor.
    """

    def prepare(self, tiny: bool) -> int:
        self.products: list[tuple[int, Callable[[], Tensor]]] = []
        for size in (64,) if tiny else SIZES:
            square = torch.randn(size, size)
            self.products.append((size**3, lambda square=square: square @ square))  # type: ignore[misc]
        x, weight, bias = (
            torch.randn(64 if tiny else ROWS, WIDTH),
            torch.randn(WIDTH, WIDTH),
            torch.zeros(WIDTH),
        )
        if kernel.usable(x):
            self.products.append((x.numel() * WIDTH, lambda: kernel.dense(x, weight, bias, relu=False)))
        return 0

    def run(self) -> dict[str, float]:
        rates = [
            2 * products / min(seconds(multiply) for _ in range(REPEATS))
            for products, multiply in self.products
        ]
        return {"gflops": max(rates) / 1e9}
