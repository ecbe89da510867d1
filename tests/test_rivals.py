"""The paper's rivals against their plain definitions."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from backcast.activations import activation_bytes
from backcast.build import build_encoder
from backcast.cli import main
from backcast.methods import METHODS
from backcast.nn.initialise import initialise
from backcast.nn.model import Model
from backcast.objectives import Draw, WholeSequence, losses
from backcast.sweep import sweep
from conftest import make_batch, make_model, row_alone

DRAW = Draw(seed=0, epoch=0, step=0)
RECURRENT = ("lstm", "gru", "irnn", "urnn")


def states_by_hand(model: Model, method: str, row: Tensor) -> list[Tensor]:
    """The output after every step of a row (T, C), one step and one formula at a time."""
    encoder, outputs = model.encoder, []
    if method == "gru":
        w_i, w_h, b_i, b_h = encoder.gru.all_weights[0]
        h = torch.zeros(6, dtype=torch.float64)
        for x in encoder.embedding(row):
            (r_i, z_i, n_i), (r_h, z_h, n_h) = (w_i @ x + b_i).chunk(3), (w_h @ h + b_h).chunk(3)
            r, z = (r_i + r_h).sigmoid(), (z_i + z_h).sigmoid()
            h = (1 - z) * (n_i + r * n_h).tanh() + z * h
            outputs.append(h)
    elif method == "irnn":
        w_i, w_h, b_i, b_h = encoder.rnn.all_weights[0]
        h = torch.zeros(6, dtype=torch.float64)
        for x in encoder.embedding(row):
            h = (w_i @ x + b_i + w_h @ h + b_h).relu()
            outputs.append(h)
    else:
        z = torch.complex(*encoder.first_state)
        for x in encoder.embedding(row):
            v = encoder.input_map @ x
            z = unitary_by_hand(model) @ z + torch.complex(v[:6], v[6:])
            modulus = (z.abs().square() + 1e-5).sqrt()
            z = (modulus + encoder.bias).relu() / modulus * z
            outputs.append(torch.cat([z.real, z.imag]))
    return outputs


def unitary_by_hand(model: Model) -> Tensor:
    """W = D3 R2 F⁻¹ D2 Π R1 F D1 as a product of matrices."""
    encoder, size = model.encoder, 6
    grid = torch.arange(size, dtype=torch.float64)
    fourier = torch.polar(
        torch.full((size, size), size**-0.5, dtype=torch.float64), -2 * torch.pi * grid[:, None] * grid / size
    )
    permute = torch.eye(size, dtype=torch.complex128)[encoder.permutation]

    def diagonal(which: int) -> Tensor:
        return torch.diag(torch.exp(1j * encoder.phases[which]))

    def reflection(which: int) -> Tensor:
        v = torch.complex(*encoder.reflections[which])
        return torch.eye(size) - 2 * torch.outer(v, v.conj()) / v.abs().square().sum()

    first = permute @ reflection(0) @ fourier @ diagonal(0)
    return diagonal(2) @ reflection(1) @ fourier.conj() @ diagonal(1) @ first


@pytest.mark.parametrize("method", ["gru", "irnn", "urnn"])
def test_a_network_gives_what_its_definition_gives(method: str) -> None:
    model, batch = make_model(method), make_batch([7])
    with torch.no_grad():
        for parameter in model.encoder.parameters():
            parameter += 0.1 * torch.randn(
                parameter.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64
            )
    first, state = model.encoder(batch.x[:, :3], model.encoder.zero_state(1))
    second, state = model.encoder(batch.x[:, 3:], state)
    outputs = torch.cat([first, second], dim=1)
    by_hand = torch.stack(states_by_hand(model, method, batch.x[0]))
    torch.testing.assert_close(outputs[0], by_hand, rtol=0, atol=1e-12)
    torch.testing.assert_close(torch.cat(state, dim=1)[0], by_hand[-1], rtol=0, atol=1e-12)

    wanted = torch.randn(by_hand.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    parameters = [parameter for parameter in model.encoder.parameters() if parameter.requires_grad]
    loss = (outputs[0] * wanted).sum() + sum(part.square().sum() for part in state)
    expected = (by_hand * wanted).sum() + by_hand[-1].square().sum()
    found = torch.autograd.grad(loss, parameters)
    for part, other in zip(found, torch.autograd.grad(expected, parameters), strict=True):
        torch.testing.assert_close(part, other, rtol=0, atol=1e-11)


def test_the_urnns_initial_weights_have_the_ranges_of_its_paper() -> None:
    encoder = make_model("urnn", hidden_size=400).encoder
    for found, most in (
        (encoder.phases, math.pi),
        (encoder.reflections, 1.0),
        (encoder.input_map, (6 / (4 + 800)) ** 0.5),
    ):
        assert 0.98 * most < float(found.detach().abs().max()) <= most, most
        assert abs(float(found.detach().mean())) < 0.1 * most
    assert not encoder.bias.detach().any()


def test_the_urnn_neither_loses_nor_gains_length() -> None:
    model = make_model("urnn", hidden_size=16)
    turn = model.encoder.unitary()
    torch.testing.assert_close(
        turn @ turn.conj().T, torch.eye(16, dtype=torch.complex128), rtol=0, atol=1e-12
    )
    assert abs(float(model.encoder.first_state.square().sum()) - 1) < 0.7
    order = model.encoder.permutation.tolist()
    assert sorted(order) == list(range(16)) != order


def test_a_network_begins_as_its_source_says_whatever_holds_it() -> None:
    alone = build_encoder("irnn", symbols=0, channels=2, embedding_size=0, hidden=6)
    initialise(alone, 0)
    assert torch.equal(alone.rnn.weight_hh_l0.detach(), torch.eye(6))


def test_the_irnn_begins_as_a_memory() -> None:
    model = make_model("irnn")
    assert torch.equal(model.encoder.rnn.weight_hh_l0, torch.eye(6, dtype=torch.float64))
    assert float(model.encoder.rnn.weight_ih_l0.detach().abs().max()) < 0.01
    assert not any(part.any() for part in (model.encoder.rnn.bias_hh_l0, model.encoder.rnn.bias_ih_l0))


@pytest.mark.parametrize("method", RECURRENT)
def test_any_network_is_swept_and_read_row_by_row_alike(method: str) -> None:
    model, batch = make_model(method), make_batch([9, 4, 1, 7])
    steps = np.array([[0, 9, 5], [4, 1, 0], [1, 1, 0], [7, 6, 2]])
    states = sweep(model.encoder, batch, steps)
    for row, column in np.ndindex(*steps.shape):
        step, zero = int(steps[row, column]), model.encoder.zero_state(1)
        expected = model.encoder(batch.x[row : row + 1, :step], zero)[1] if step else zero
        for part, other in zip(states, expected, strict=True):
            torch.testing.assert_close(part[row * 3 + column], other[0], rtol=0, atol=1e-12)


# --- Dai & Le ----------------------------------------------------------------------------------------------


def whole_sequence_by_hand(model: Model, row: Tensor, truncation: int, from_end: bool) -> Tensor:
    """The sum over one row (T[, C]), with one call a step and the state detached where it is cut."""
    state, total = model.encoder.zero_state(1), torch.zeros((), dtype=torch.float64)
    if from_end:
        for t in range(len(row)):
            if t == len(row) - truncation:
                state = state.detach()
            _, state = model.encoder(row[None, t : t + 1], state)
    for t in range(len(row) - 1):
        if t % truncation == 0 and t:
            state = state.detach()
        output, state = model.encoder(row[None, t : t + 1], state)
        predicted = model.next_element(output)[0, 0]
        if model.symbols:
            total = total + F.cross_entropy(predicted, row[t + 1])
        else:
            total = total + (predicted - row[t + 1]).square().mean()
    return total


@pytest.mark.parametrize("frozen", [True, False])
def test_a_chunked_loss_without_gradients_is_the_same_number(frozen: bool) -> None:
    model, batch = make_model("lm-lstm"), make_batch([9, 6])
    objective = WholeSequence(4, False)
    exact = losses(model, [objective], batch, DRAW)[objective.name].total.detach()
    for parameter in model.parameters():
        parameter.requires_grad_(not frozen)
    with torch.set_grad_enabled(frozen):
        found = losses(model, [objective], batch, DRAW)[objective.name].total.detach()
    assert not found.requires_grad and abs(float(found) - float(exact)) < 1e-9


@pytest.mark.parametrize("symbols", [False, True])
@pytest.mark.parametrize("truncation", [1, 4, 5, 11, 12, 100])
@pytest.mark.parametrize("method", ["lm-lstm", "sa-lstm"])
def test_the_whole_sequence_is_learned_as_defined(method: str, truncation: int, symbols: bool) -> None:
    model = make_model(method, symbols)
    batch = make_batch([12, 7, 12, 2, 1], symbols)
    objective = WholeSequence(truncation, from_end=method == "sa-lstm")
    term = losses(model, [objective], batch, DRAW)[objective.name]
    alone = [row_alone(batch, row).x[0] for row in range(5)]
    expected = sum(whole_sequence_by_hand(model, row, truncation, objective.from_end) for row in alone)
    assert isinstance(expected, Tensor)
    assert term.count == 11 + 6 + 11 + 1
    torch.testing.assert_close(term.total.detach(), expected.detach(), rtol=1e-10, atol=1e-12)
    parameters = [p for part in (model.encoder, model.next_element) for p in part.parameters()]
    own = torch.autograd.grad(2 * term.total, parameters)
    for found, other in zip(own, torch.autograd.grad(2 * expected, parameters), strict=True):
        torch.testing.assert_close(found, other, rtol=1e-8, atol=1e-11)


def test_nothing_cut_is_one_chunk() -> None:
    model, batch = make_model("sa-lstm"), make_batch([12, 7])
    whole, long = (losses(model, [WholeSequence(k, True)], batch, DRAW)["autoencoder"] for k in (None, 50))
    torch.testing.assert_close(whole.total, long.total)


@pytest.mark.parametrize("from_end", [False, True])
def test_what_is_kept_for_backward_does_not_grow_with_the_length(from_end: bool) -> None:
    model = make_model("sa-lstm" if from_end else "lm-lstm")

    def most_kept(length: int) -> int:
        batch, objectives = make_batch([length]), [WholeSequence(8, from_end)]
        kept = activation_bytes(lambda: losses(model, objectives, batch, DRAW), model.parameters())
        return kept - batch.x.nbytes

    assert most_kept(400) <= most_kept(40)


def test_every_method_has_a_network_that_is_built_and_its_main_weights_do_not_depend_on_the_rest() -> None:
    weights: dict[str, list[Tensor]] = {}
    for name, method in METHODS.items():
        model = make_model(name, position_cue="reconstruction" in method.auxiliary)
        first = weights.setdefault(method.network, [part.detach() for part in model.encoder.parameters()])
        assert all(map(torch.equal, first, model.encoder.parameters()))


# --- from the command line ---------------------------------------------------------------------------------


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("method", sorted(METHODS))
def test_every_method_trains_predicts_and_is_reported(
    npz: Path, tmp_path: Path, method: str, precision: str
) -> None:
    run = str(tmp_path / "run")
    words = ["--hidden-size", "6", "--embedding-size", "4", "--feedforward-size", "8", "--truncation", "5", "--pretrain-epochs", "1",
             "--epochs", "1", "--segment-length", "6", "--anchors", "2", "--precision", precision, "--device", "cpu"]  # fmt: skip
    assert main(["train", str(npz), "--method", method, *words, "--out", run]) == 0
    assert main(["evaluate", run, str(npz)]) == 0
    assert main(["predict", run, str(npz), "--out", str(tmp_path / "p.csv")]) == 0
    assert main(["report", run, "--out", str(tmp_path / "report.html")]) == 0
    assert main(["train", str(npz), "--method", method, *words, "--out", run, "--resume"]) == 0


@pytest.mark.parametrize("method", sorted(METHODS))
def test_every_method_reads_symbols_and_text(method: str, tmp_path: Path) -> None:
    data = tmp_path / "t.csv"
    lines = [f"{'abcab' * (1 + row % 4)}{'xyz'[row % 3]},{row % 3}" for row in range(24)]
    data.write_text("text,label\n" + "\n".join(lines) + "\n")
    words = ["--hidden-size", "6", "--embedding-size", "4", "--feedforward-size", "8", "--truncation", "5", "--pretrain-epochs", "1",
             "--epochs", "1", "--segment-length", "6", "--anchors", "2", "--decoder-input", "scheduled", "--no-position-cue",
             "--sampling-steps", "2", "--device", "cpu"]  # fmt: skip
    assert main(["train", str(data), "--method", method, *words, "--out", str(tmp_path / "run")]) == 0
    assert main(["evaluate", str(tmp_path / "run"), str(data)]) == 0
