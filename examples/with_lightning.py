"""The paper's auxiliary loss under pytorch-lightning's loop.

pip install -r examples/requirements.txt
python examples/with_lightning.py [UPDATES]
"""

from __future__ import annotations

import sys

import pytorch_lightning as lightning
import torch
from own_lstm import rows
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from backcast import AuxiliaryLoss
from backcast.objectives import Reconstruction


class Mine(lightning.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(1, 32, batch_first=True)
        self.head = nn.Linear(32, 2)
        self.auxiliary = AuxiliaryLoss(
            self.lstm, Reconstruction(anchors=2, segment_length=20, truncation=10), channels=1
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.lstm(x)[0][:, -1])

    def training_step(self, batch: list[Tensor], index: int) -> Tensor:
        x, y = batch
        return F.cross_entropy(self(x), y) + self.auxiliary(x)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=3e-3)


def main(updates: int) -> None:
    lightning.seed_everything(0, verbose=False)
    trainer = lightning.Trainer(
        max_steps=updates, gradient_clip_val=1.0, logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, accelerator="cpu",
    )  # fmt: skip
    model = Mine()
    trainer.fit(model, DataLoader(TensorDataset(*rows(64 * updates)), batch_size=64))
    x, y = rows(1000)
    with torch.no_grad():
        print(f"accuracy {float((model(x).argmax(dim=1) == y).float().mean()):.3f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
