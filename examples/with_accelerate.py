"""The paper's auxiliary loss under accelerate's loop.

pip install -r examples/requirements.txt
accelerate launch examples/with_accelerate.py [UPDATES]
"""

from __future__ import annotations

import sys

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from own_lstm import Mine, rows
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from backcast import AuxiliaryLoss
from backcast.objectives import Reconstruction


class WithLoss(nn.Module):
    """The model and its auxiliary loss in one forward pass, so that several processes see both."""

    def __init__(self) -> None:
        super().__init__()
        self.mine = Mine()
        objective = Reconstruction(anchors=2, segment_length=20, truncation=10)
        self.auxiliary = AuxiliaryLoss(self.mine.lstm, objective, channels=1)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return F.cross_entropy(self.mine(x), y) + self.auxiliary(x)


def main(updates: int) -> None:
    set_seed(0)
    accelerator = Accelerator()
    model = WithLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    loader = DataLoader(TensorDataset(*rows(64 * updates)), batch_size=64)
    model, optimizer, loader = accelerator.prepare(model, optimizer, loader)
    for x, y in loader:
        optimizer.zero_grad()
        accelerator.backward(model(x, y))
        accelerator.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    mine = accelerator.unwrap_model(model).mine
    x, y = (part.to(accelerator.device) for part in rows(1000))
    with torch.no_grad():
        accelerator.print(f"accuracy {float((mine(x).argmax(dim=1) == y).float().mean()):.3f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
