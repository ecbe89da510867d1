"""The uRNN: a complex state that a unitary matrix turns at every step (Arjovsky, Shah, Bengio 2016)."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from backcast import rng
from backcast.nn.embedding import Embedding

ROOM = 1e-5  # under the root of the modulus, whose gradient at zero has none


class URNNState(NamedTuple):
    """Real and imaginary part of the hidden state, (B, H) each."""

    real: Tensor
    imaginary: Tensor


class EmbeddedURNN(nn.Module):
    """Embedding, then one layer of `hidden_size` complex units: a `RecurrentEncoder`.

        h_t = modReLU(W h_{t-1} + V x_t),    W = D3 R2 F⁻¹ D2 Π R1 F D1

    with diagonal matrices D of phases, reflections R = I - 2 v v*/|v|², the unitary Fourier transform F, a fixed
    permutation Π, and modReLU(z) = ReLU(|z| + b) z/|z|. Outputs are the real, then the imaginary parts.
    Its weights are real numbers, so the optimizer is any. Arjovsky et al. feed pixels without an
    embedding (`--embedding-size 0`) and train the first state; here it is drawn once, from the seed, and kept,
    as its gradient is cut off by every truncation.

    Within a call W is put together once and is then an ordinary matrix: H² products a step in place of H log H, but
    one operation in place of a dozen, which is what takes the time here.
    """

    permutation: Tensor

    def __init__(self, embedding: Embedding, hidden_size: int) -> None:
        super().__init__()
        self.embedding = embedding
        self.hidden_size = hidden_size
        self.phases = nn.Parameter(torch.empty(3, hidden_size))  # of D1, D2, D3, in radians
        self.reflections = nn.Parameter(torch.empty(2, 2, hidden_size))  # of R1, R2: real, imaginary
        self.input_map = nn.Parameter(torch.empty(2 * hidden_size, embedding.width))  # V: real, imaginary
        self.bias = nn.Parameter(torch.empty(hidden_size))  # b of modReLU
        self.first_state = nn.Parameter(torch.empty(2, hidden_size), requires_grad=False)
        order = torch.from_numpy(rng.permutation(hidden_size, "urnn"))
        self.register_buffer("permutation", order, persistent=False)

    @property
    def output_size(self) -> int:
        return 2 * self.hidden_size

    def zero_state(self, batch_size: int) -> URNNState:
        """s_0, which is not zero."""
        real, imaginary = self.first_state[:, None].expand(2, batch_size, self.hidden_size)
        return URNNState(real, imaginary)

    def unitary(self) -> Tensor:
        """W, (H, H) complex."""
        phases = torch.polar(torch.ones_like(self.phases), self.phases)
        rows = torch.diag(phases[0])  # each row is W applied to a unit vector: W transposed, factor by factor
        rows = torch.fft.fft(rows, norm="ortho")
        rows = self._reflect(rows, 0)[:, self.permutation] * phases[1]
        rows = self._reflect(torch.fft.ifft(rows, norm="ortho"), 1) * phases[2]
        return rows.T

    def forward(self, x: Tensor, state: URNNState) -> tuple[Tensor, URNNState]:
        """x (N, L[, C]) to outputs (N, L, 2H) and the state behind the last step."""
        with torch.autocast(x.device.type, enabled=False):
            inputs = self.embedding(x) @ self.input_map.T
            turned = self.unitary().T
            turn = torch.cat(
                [torch.cat([turned.real, turned.imag], dim=1), torch.cat([-turned.imag, turned.real], dim=1)]
            )
            hidden, size = torch.cat(list(state), dim=1).to(turn.dtype), self.hidden_size
            outputs = []
            for step in inputs.unbind(dim=1):
                hidden = torch.addmm(step, hidden, turn)
                modulus = (hidden[:, :size].square() + hidden[:, size:].square() + ROOM).sqrt()
                hidden = hidden * ((modulus + self.bias).relu() / modulus).repeat(1, 2)
                outputs.append(hidden)
        return torch.stack(outputs, dim=1), URNNState(hidden[:, :size], hidden[:, size:])

    def first_weights(self, name: str, shape: torch.Size, generator: torch.Generator) -> Tensor | None:
        """Phases uniform in ±π, reflections in ±1, V as Glorot & Bengio, b zero, a first state of length about 1 (their section 4)."""
        bounds = {
            "phases": math.pi,
            "reflections": 1.0,
            "input_map": math.sqrt(6 / sum(shape)),
            "bias": 0.0,
            "first_state": math.sqrt(3 / (2 * self.hidden_size)),
        }
        bound = bounds.get(name)
        return None if bound is None else torch.empty(shape).uniform_(-bound, bound, generator=generator)

    def _reflect(self, rows: Tensor, which: int) -> Tensor:
        """Each row times the reflection, transposed: row - 2 (row · v̄) v / |v|²."""
        v = torch.complex(*self.reflections[which])
        along = rows @ v.conj()
        return rows - 2 / v.abs().square().sum() * along[:, None] * v
