"""The uRNN: a complex state that a unitary matrix turns at every step (Arjovsky, Shah, Bengio 2016)."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from backcast import rng
from backcast.nn.embedding import Embedding

EPSILON = 1e-5  # added under the root of the modulus, which has no gradient at zero


class URNNState(NamedTuple):
    """Real and imaginary part of the hidden state, (B, H) each."""

    real: Tensor
    imaginary: Tensor


class EmbeddedURNN(nn.Module):
    """Embedding, then one layer of `hidden_size` complex units: a `RecurrentEncoder`.

        h_t = modReLU(W h_{t-1} + V x_t),    W = D3 R2 F⁻¹ D2 Π R1 F D1

    with diagonal matrices D of phases, reflections R = I - 2 v v*/|v|², the unitary Fourier transform F, a fixed
    permutation Π, and modReLU(z) = ReLU(|z| + b) z/|z|. Outputs are the real, then the imaginary parts.
    Its weights are real numbers, so any optimizer will do. Arjovsky et al. feed pixels without an
    embedding (`--embedding-size 0`) and train the first state; here it is drawn once, from the seed, and kept,
    as every truncation cuts off its gradient.

    Each call builds W once and then uses it as an ordinary matrix: H² products per step instead of H log H, but
    one operation instead of a dozen, and operations are what takes the time here.
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

    def turn(self) -> Tensor:
        """W as a real matrix, (2H, 2H): rows of [real, imaginary parts] of h times it are those of W h."""
        turned = self.unitary().T
        return torch.cat(
            [torch.cat([turned.real, turned.imag], dim=1), torch.cat([-turned.imag, turned.real], dim=1)]
        )

    def forward(self, x: Tensor, state: URNNState) -> tuple[Tensor, URNNState]:
        """x (N, L[, C]) to outputs (N, L, 2H) and the state after the last step."""
        with torch.autocast(x.device.type, enabled=False):
            inputs = self.embedding(x) @ self.input_map.T
            turn = self.turn()
            outputs = _Turns.apply(inputs, torch.cat(list(state), dim=1).to(turn.dtype), turn, self.bias)
            last = outputs[:, -1].clone()  # a view would keep all outputs in memory
        return outputs, URNNState(*last.chunk(2, dim=1))

    def initial_weights(self, name: str, shape: torch.Size, generator: torch.Generator) -> Tensor | None:
        """Each parameter's initial values (their section 4).

        Phases uniform in ±π, reflections in ±1, V as Glorot & Bengio, b zero, a first state of length about 1.
        """
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


class _Turns(torch.autograd.Function):
    """h_t = modReLU(h_{t-1} turn + inputs_t) for all steps, with its gradient written out.

    Autograd's takes up to three times as long. With r = 1 / |z| and s = ReLU(1 + b r), modReLU(z) = s z; with g the
    gradient of h, and d = ⟨g, z⟩ for each complex unit,

        dz = s g - b r³ d z,    db = r d, where 1 + b r > 0.
    """

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, hidden: Tensor, turn: Tensor, bias: Tensor) -> Tensor:
        """inputs (N, L, 2H), hidden (N, 2H), turn (2H, 2H), bias (H,) to outputs (N, L, 2H)."""
        turned = inputs.transpose(0, 1).clone(memory_format=torch.contiguous_format)
        outputs, one, now = torch.empty_like(turned), bias.new_ones(()), hidden
        for z, output in zip(turned.unbind(), outputs.unbind(), strict=True):
            z.addmm_(now, turn)
            scale = torch.addcmul(one, bias, _inverse_modulus(z)).relu_()
            torch.mul(_by_unit(z), scale[:, None], out=_by_unit(output))
            now = output
        ctx.save_for_backward(turned, outputs, hidden, turn, bias)
        return outputs.transpose(0, 1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_outputs: Tensor) -> Any:
        turned, outputs, hidden, turn, bias = ctx.saved_tensors
        inverse = _inverse_modulus(turned)
        scale = (1 + bias * inverse).relu_()
        inverse *= scale > 0
        bend = bias * inverse.pow(3)
        d_turned, dots = torch.empty_like(turned), torch.empty_like(inverse)
        back, carried = turn.T.contiguous(), torch.zeros_like(hidden)
        for step in reversed(range(len(turned))):
            gradient = _by_unit(carried + d_outputs[:, step])
            z, d_z = _by_unit(turned[step]), _by_unit(d_turned[step])
            torch.sum(gradient * z, dim=1, out=dots[step])
            torch.mul(gradient, scale[step][:, None], out=d_z)
            d_z.addcmul_(z, (bend[step] * dots[step])[:, None], value=-1)
            carried = d_turned[step] @ back
        before = torch.cat([hidden[None], outputs[:-1]])
        d_turn = before.flatten(0, 1).T @ d_turned.flatten(0, 1)
        return d_turned.transpose(0, 1), carried, d_turn, (inverse * dots).sum(dim=(0, 1))


def _by_unit(parts: Tensor) -> Tensor:
    """(..., 2H) as (..., 2, H): real and imaginary parts."""
    return parts.unflatten(-1, (2, -1))


def _inverse_modulus(z: Tensor) -> Tensor:
    """1 / |z| of every unit, (..., 2H) to (..., H)."""
    return _by_unit(z.square()).sum(dim=-2).add_(EPSILON).rsqrt_()
