"""A sweep in any pieces equals one pass, and no row sees another's padding."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from backcast import sweep as sweep_module
from backcast.batch import Batch
from backcast.nn.lstm import LSTMState
from backcast.sweep import run_to_ends, sweep
from conftest import make_batch, make_model, row_alone


@pytest.mark.parametrize("piece", [1, 3, 64])
@pytest.mark.parametrize("symbols", [False, True])
def test_a_sweep_in_any_pieces_equals_each_row_read_alone(
    piece: int, symbols: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep_module, "PIECE", piece)
    model, batch = make_model(symbols=symbols), make_batch([9, 4, 1, 7], symbols)
    steps = np.array([[0, 9, 5], [4, 1, 0], [1, 1, 0], [7, 6, 2]])
    states = sweep(model.encoder, batch, steps)
    for row in range(4):
        for column in range(3):
            step = int(steps[row, column])
            zero = model.encoder.zero_state(1)
            expected = model.encoder(batch.x[row : row + 1, :step], zero)[1] if step else zero
            for part, other in zip(states, expected, strict=True):
                torch.testing.assert_close(part[row * 3 + column], other[0], rtol=0, atol=1e-12)


def test_a_sweep_builds_no_graph_and_ends_at_the_last_step_asked_for() -> None:
    model, batch = make_model(), make_batch([9, 9])
    reached: list[int] = []

    class Watched(Batch):
        def slice(self, start: int, stop: int) -> Tensor:
            reached.append(stop)
            return super().slice(start, stop)

    watched = Watched(batch.x, batch.lengths, batch.labels, batch.rows)
    states = sweep(model.encoder, watched, np.array([[3], [5]]))
    assert max(reached) == 5
    assert not any(part.requires_grad for part in states)


def test_a_sweep_without_the_kernel_makes_nothing_of_a_whole_row() -> None:
    model, batch = (
        make_model(symbols=True),
        make_batch([200, 150], symbols=True),
    )  # float64: not for the kernel
    steps: list[int] = []
    model.encoder.embedding.register_forward_pre_hook(lambda module, given: steps.append(given[0].shape[1]))
    sweep(model.encoder, batch, np.array([[200], [150]]))
    assert sum(steps) == 200 and max(steps) == sweep_module.PIECE


def test_windows_of_unequal_lengths_give_the_state_and_gradient_of_each_alone() -> None:
    model = make_model()
    lengths = np.array([3, 6, 1, 6, 0])
    x = torch.randn(
        5, 6, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True
    )
    start = LSTMState(*torch.randn(2, 5, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1)))
    state = run_to_ends(model.encoder, x, start, lengths)
    (gradient,) = torch.autograd.grad(state.c.sum() + state.h.sum(), x)
    for row, length in enumerate(lengths):
        alone = x[row : row + 1, :length].detach().requires_grad_()
        own = LSTMState(*(part[row : row + 1] for part in start))
        expected = model.encoder(alone, own)[1] if length else own
        torch.testing.assert_close(state.c[row], expected.c[0], rtol=0, atol=1e-12)
        if length:
            (own_gradient,) = torch.autograd.grad(expected.c.sum() + expected.h.sum(), alone)
            torch.testing.assert_close(gradient[row, :length], own_gradient[0], rtol=0, atol=1e-12)
        assert (gradient[row, length:] == 0).all()


def test_two_methods_are_enough_for_a_recurrent_network_of_ones_own() -> None:
    class Running(nn.Module):
        """Sums what it reads: s_t = x_0 + .. + x_{t-1}."""

        def zero_state(self, batch_size: int) -> tuple[Tensor]:
            return (torch.zeros(batch_size, 2, dtype=torch.float64),)

        def forward(self, x: Tensor, state: tuple[Tensor]) -> tuple[Tensor, tuple[Tensor]]:
            outputs = state[0][:, None] + x.cumsum(dim=1)
            return outputs, (outputs[:, -1],)

    batch = make_batch([5, 3])
    (states,) = sweep(Running(), batch, np.array([[5], [2]]))
    torch.testing.assert_close(states, torch.stack([batch.x[0].sum(0), batch.x[1, :2].sum(0)]))


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_a_padded_row_gives_the_logits_that_the_row_alone_gives(dtype: torch.dtype, tolerance: float) -> None:
    from backcast.inference import last_outputs

    model, batch = make_model().to(dtype), make_batch([30, 4, 1, 17])
    batch = Batch(batch.x.to(dtype), batch.lengths, batch.labels, batch.rows)
    together = model.classifier(last_outputs(model, batch))
    for row in range(4):
        alone = model.classifier(last_outputs(model, row_alone(batch, row)))
        torch.testing.assert_close(together[row], alone[0], rtol=0, atol=tolerance)


@pytest.mark.parametrize("wrong", [-1, 5, 10])
def test_a_step_that_a_row_does_not_have_is_refused(wrong: int) -> None:
    with pytest.raises(
        ValueError, match=rf"row 1 of the batch has 4 steps, so there is no state after {wrong}:"
    ):
        sweep(make_model().encoder, make_batch([9, 4]), np.array([[3, 9], [4, wrong]]))
