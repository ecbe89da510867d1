"""Your own recurrent network, given by two methods, trained with truncated gradients for both losses.

    python examples/own_network.py [UPDATES]

However long the rows are, the label's gradient reaches only their last 20 steps, and the auxiliary loss's only the 10
before an anchor, so memory does not grow with the length.
"""

from __future__ import annotations

import sys

import torch
from own_lstm import rows
from torch import Tensor, nn

from backcast import AuxiliaryLoss
from backcast.batch import Batch
from backcast.inference import last_outputs
from backcast.nn.feedforward import FeedForward
from backcast.nn.model import Model
from backcast.objectives import Classification, Draw, Reconstruction, losses


class LeakyNetwork(nn.Module):
    """A `RecurrentEncoder` of leaky units, each with a learned rate."""

    def __init__(self, channels: int, size: int) -> None:
        super().__init__()
        self.read = nn.Linear(channels, size)
        self.recur = nn.Linear(size, size, bias=False)
        self.rate = nn.Parameter(torch.linspace(-5.0, 1.0, size))

    def zero_state(self, batch_size: int) -> tuple[Tensor, ...]:
        """The first state: any tuple of tensors (B, ...)."""
        return (self.rate.new_zeros(batch_size, len(self.rate)),)

    def forward(self, x: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        """x (B, L, C) to outputs (B, L, H), and the state after the last step."""
        (h,), outputs = state, []
        for step in self.read(x).unbind(dim=1):
            h = h + self.rate.sigmoid() * ((step + self.recur(h)).tanh() - h)
            outputs.append(h)
        return torch.stack(outputs, dim=1), (h,)


def main(updates: int) -> None:
    torch.manual_seed(0)
    encoder = LeakyNetwork(channels=1, size=32)
    model = Model(encoder, classifier=FeedForward(32, 64, 2, dropconnect=0.0))
    reconstruction = Reconstruction(anchors=2, segment_length=20, truncation=10)
    auxiliary = AuxiliaryLoss(encoder, reconstruction, channels=1)
    optimizer = torch.optim.Adam([*model.parameters(), *auxiliary.parameters()], lr=3e-3)
    for update in range(updates):
        x, y = rows(64)
        draw = Draw(seed=0, epoch=update, step=update)
        term = losses(model, [Classification(truncation=20)], Batch.of(x, y), draw)["classification"]
        optimizer.zero_grad()
        (term.total / term.count + auxiliary(x)).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    x, y = rows(1000)
    predicted = model.classifier(last_outputs(model, Batch.of(x))).argmax(dim=1)
    print(f"accuracy {float((predicted == y).float().mean()):.3f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
