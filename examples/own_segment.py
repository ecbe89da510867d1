"""One idea of the paper changed without touching the package: where the segment to be reconstructed lies.

    python examples/own_segment.py [UPDATES]

The paper draws its place anywhere. Here it is always the beginning of the row, so the network must reconstruct only the
oldest elements. Two networks, one for each choice, are trained alike, without labels; then each one's decoder must
reconstruct the beginning from the state at the end. After 40 updates (the default) the network trained on
the beginning knows it better; by 80 the two are nearly alike: it learns it sooner, not better.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

import numpy as np
import torch
from own_lstm import rows
from torch import nn

from backcast import AuxiliaryLoss
from backcast.batch import Batch
from backcast.objectives import Draw, Plan, Reconstruction
from backcast.windows import Segments, window_starts


@dataclass(frozen=True)
class Beginning(Reconstruction):
    """Like the paper's, but the segment is the row's first l + 1 elements; `at_end`: the anchor is the row's end."""

    at_end: bool = False

    def plan(self, batch: Batch, draw: Draw) -> Plan:
        segments = super().plan(batch, draw).segments
        anchors = np.repeat(batch.lengths[:, None], self.anchors, axis=1) if self.at_end else segments.anchors
        own = Segments(anchors, np.zeros_like(segments.places), segments.lengths)
        return Plan(window_starts(anchors, self.truncation), own)


def main(updates: int) -> None:
    settings = dict(anchors=2, segment_length=10, truncation=25, decoder_input="unfed")
    for objective in (Reconstruction(**settings), Beginning(**settings)):
        torch.manual_seed(0)
        lstm = nn.LSTM(1, 32, batch_first=True)
        auxiliary = AuxiliaryLoss(lstm, objective, channels=1)
        optimizer = torch.optim.Adam([*lstm.parameters(), *auxiliary.parameters()], lr=3e-3)
        for _ in range(updates):
            optimizer.zero_grad()
            auxiliary(rows(64)[0]).backward()
            optimizer.step()
        auxiliary.eval()
        auxiliary.objective = Beginning(**settings, at_end=True)
        with torch.no_grad():
            error = float(auxiliary(rows(500)[0]))
        print(f"{type(objective).__name__:<14} squared error of the beginning, from the end: {error:.3f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 40)
