"""What the kernel computes, step by step in plain PyTorch. Slow; only tests run it."""

from __future__ import annotations

import torch
from torch import Tensor


def lstm(
    x: Tensor, lengths: Tensor, input_map: Tensor, recurrent_map: Tensor, base: Tensor, h: Tensor, c: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """All outputs (N, T, H), zero past a row's end, and the states (N, H) at the rows' ends.

    x              (N, T, I) real vectors, or (N, T) symbols
    lengths        (N,) steps of each row, 0 .. T
    input_map      (4H, I), not read for symbols; recurrent_map (4H, H); gates i, f, g, o
    base           (4H,) the bias, or for symbols (symbols, 4H): what each adds to the gates, bias included
    h, c           (N, H), the states before the first step
    """
    outputs = []
    for step in range(x.shape[1]):
        start = base[x[:, step]] if x.ndim == 2 else x[:, step] @ input_map.T + base
        i, f, g, o = (start + h @ recurrent_map.T).chunk(4, dim=1)
        next_c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        next_h = o.sigmoid() * next_c.tanh()
        alive = (step < lengths)[:, None]
        h, c = torch.where(alive, next_h, h), torch.where(alive, next_c, c)
        outputs.append(torch.where(alive, next_h, 0.0))
    return torch.stack(outputs, dim=1) if outputs else h.new_zeros(len(h), 0, h.shape[1]), h, c
