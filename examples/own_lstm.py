"""The paper's auxiliary loss added to your own nn.LSTM model and training loop.

    python examples/own_lstm.py [UPDATES]

The class is the sign of a shift of the row's first ten steps; ninety steps of noise follow.
"""

from __future__ import annotations

import sys

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from backcast import AuxiliaryLoss
from backcast.objectives import Reconstruction


class Mine(nn.Module):
    """Any model with an LSTM in it."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(1, 32, batch_first=True)
        self.head = nn.Linear(32, 2)

    def forward(self, x: Tensor) -> Tensor:
        outputs, _ = self.lstm(x)
        return self.head(outputs[:, -1])


def rows(count: int) -> tuple[Tensor, Tensor]:
    """x (count, 100, 1), classes (count,)."""
    y = torch.randint(0, 2, (count,))
    x = torch.randn(count, 100, 1)
    x[:, :10, 0] += 2.0 * y[:, None] - 1.0
    return x, y


def main(updates: int) -> None:
    torch.manual_seed(0)
    model = Mine()
    auxiliary = AuxiliaryLoss(
        model.lstm, Reconstruction(anchors=2, segment_length=20, truncation=10), channels=1
    )
    optimizer = torch.optim.Adam([*model.parameters(), *auxiliary.parameters()], lr=3e-3)
    for _ in range(updates):
        x, y = rows(64)
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y) + auxiliary(x)
        loss.backward()
        nn.utils.clip_grad_norm_([*model.parameters(), *auxiliary.parameters()], 1.0)
        optimizer.step()
    x, y = rows(1000)
    with torch.no_grad():
        print(f"accuracy {float((model(x).argmax(dim=1) == y).float().mean()):.3f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 300)
