"""The losses and their gradients are the method's, to the letter."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

import reference
from backcast import kernel
from backcast.activations import activation_bytes
from backcast.batch import Batch
from backcast.errors import InputError
from backcast.kernel import library
from backcast.nn.decoder import Decoder
from backcast.nn.model import Model
from backcast.objectives import Classification, Draw, Objective, Plan, Prediction, Reconstruction, losses
from backcast.sweep import sweep
from backcast.windows import Segments, window_starts
from conftest import make_batch, make_model, row_alone

DRAW = Draw(seed=0, epoch=0, step=0)
RAGGED = [12, 7, 3, 12, 2, 1]


def run(
    model: Model, objective: Objective, batch: Batch, plan: Plan, draw: Draw = DRAW
) -> tuple[Tensor, int]:
    term = objective.loss(model, batch, plan, sweep(model.encoder, batch, plan.starts), draw)
    return term.total, term.count


def segments(anchor: int, place: int, length: int) -> Segments:
    return Segments(*(np.array([[value]]) for value in (anchor, place, length)))


def gradients(total: Tensor, model: Model) -> list[Tensor]:
    found = torch.autograd.grad(total, list(model.parameters()), allow_unused=True)
    return [torch.zeros_like(p) if g is None else g for g, p in zip(found, model.parameters(), strict=True)]


def assert_same(model: Model, total: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(total, expected, rtol=1e-10, atol=1e-12)
    for own, other in zip(gradients(total, model), gradients(expected, model), strict=True):
        torch.testing.assert_close(own, other, rtol=1e-8, atol=1e-11)


# --- where gradients reach ---------------------------------------------------------------------------------


def test_the_supervised_gradient_is_exactly_zero_before_its_window_and_not_at_its_first_step() -> None:
    model, batch = make_model(), make_batch([20])
    batch.x.requires_grad_()
    objective = Classification(truncation=6)
    total, _ = run(model, objective, batch, objective.plan(batch, DRAW))
    (gradient,) = torch.autograd.grad(total, batch.x)
    assert (gradient[0, :14] == 0).all() and (gradient[0, 14] != 0).any()


def test_the_reconstruction_gradient_is_exactly_zero_before_its_window_and_not_at_its_first_step() -> None:
    model, batch = make_model(decoder_input="fed"), make_batch([20])
    batch.x.requires_grad_()
    plan = Plan(window_starts(np.array([[16]]), 5), segments(anchor=16, place=0, length=3))
    total, count = run(model, Reconstruction(1, 3, truncation=5), batch, plan)
    (gradient,) = torch.autograd.grad(total, batch.x)
    assert count == 3
    assert (gradient[0, 4:11] == 0).all() and (gradient[0, 11] != 0).any() and (gradient[0, 16:] == 0).all()


def test_the_prediction_gradient_is_exactly_zero_before_its_anchor_and_not_at_it() -> None:
    model, batch = make_model(), make_batch([20])
    batch.x.requires_grad_()
    total, count = run(model, Prediction(1, 4), batch, Plan(np.array([[9]]), segments(9, 9, 4)))
    (gradient,) = torch.autograd.grad(total, batch.x)
    assert count == 4
    assert (gradient[0, :9] == 0).all() and (gradient[0, 9] != 0).any() and (gradient[0, 14:] == 0).all()


def test_with_truncation_zero_no_supervised_gradient_reaches_the_network() -> None:
    model, batch = make_model(), make_batch([8, 5])
    objective = Classification(truncation=0)
    total, _ = run(model, objective, batch, objective.plan(batch, DRAW))
    total.backward()
    assert all(p.grad is None for p in model.encoder.parameters())
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.classifier.parameters())


# --- equal to the slow definitions -------------------------------------------------------------------------


@pytest.mark.parametrize("symbols", [False, True])
@pytest.mark.parametrize("truncation", [1, 5, 100, None, 0])
def test_classification_equals_the_step_by_step_definition(truncation: int | None, symbols: bool) -> None:
    model, batch = make_model(symbols=symbols), make_batch(RAGGED, symbols)
    objective = Classification(truncation)
    total, count = run(model, objective, batch, objective.plan(batch, DRAW))
    cut = 1000 if truncation is None else truncation
    expected = [
        reference.classification(model, batch.x[i, :length], batch.labels[i], cut)
        for i, length in enumerate(RAGGED)
    ]
    assert count == len(RAGGED)
    assert_same(model, total, torch.stack(expected).sum())


@pytest.mark.parametrize("symbols", [False, True])
@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize(
    ("decoder_input", "decoder_truncation", "cue"),
    [("fed", None, False), ("fed", 2, True), ("unfed", None, True), ("unfed", 3, False)],
)
def test_reconstruction_equals_the_step_by_step_definition(
    symbols: bool, backwards: bool, decoder_input: str, decoder_truncation: int | None, cue: bool
) -> None:
    model, batch = make_model(symbols=symbols, position_cue=cue), make_batch(RAGGED, symbols)
    objective = Reconstruction(
        3,
        5,
        truncation=4,
        decoder_truncation=decoder_truncation,
        decoder_input=decoder_input,
        backwards=backwards,
    )
    plan = objective.plan(batch, DRAW)
    total, count = run(model, objective, batch, plan)
    expected = torch.zeros((), dtype=torch.float64)
    for row, anchors, places, lengths in zip(range(6), *plan.segments, strict=True):
        for anchor, place, length in zip(anchors, places, lengths, strict=True):
            expected = expected + reference.reconstruction(
                model, batch.x[row], int(anchor), int(place), int(length), 4, backwards, decoder_truncation,
                unfed=decoder_input == "unfed",
            )  # fmt: skip
    assert count == 3 * sum(min(5, length - 1) for length in RAGGED)
    assert_same(model, total, expected)


@pytest.mark.parametrize("symbols", [False, True])
def test_prediction_equals_the_step_by_step_definition(symbols: bool) -> None:
    model, batch = make_model(symbols=symbols), make_batch(RAGGED, symbols)
    objective = Prediction(2, 4)
    plan = objective.plan(batch, DRAW)
    total, count = run(model, objective, batch, plan)
    expected = torch.zeros((), dtype=torch.float64)
    for row, anchors, lengths in zip(range(6), plan.segments.anchors, plan.segments.lengths, strict=True):
        for anchor, length in zip(anchors, lengths, strict=True):
            expected = expected + reference.prediction(model, batch.x[row], int(anchor), int(length))
    assert count == 2 * sum(min(4, length - 1) for length in RAGGED)
    assert_same(model, total, expected)


@pytest.mark.parametrize("lengths", [[15, 15], [1, 2], RAGGED, [200, 121, 90]], ids=str)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["slow", "kernel"])
def test_recomputing_changes_nothing(lengths: list[int], dtype: torch.dtype) -> None:
    found = []
    for recompute in (False, True):
        model, batch = make_model().to(dtype), make_batch(lengths)
        batch = replace(batch, x=batch.x.to(dtype))
        objective = Classification(None, recompute)
        total, _ = run(model, objective, batch, objective.plan(batch, DRAW))
        total.backward()
        found.append([total.detach(), *(parameter.grad for parameter in model.parameters())])
    for one, other in zip(*found, strict=True):
        close = {"rtol": 1e-12, "atol": 1e-14} if dtype == torch.float64 else {"rtol": 1e-4, "atol": 1e-6}
        assert one is other is None or torch.allclose(one, other, **close)


def test_recomputing_keeps_the_square_root_of_the_length() -> None:
    from backcast.activations import activation_bytes

    def kept(length: int, recompute: bool) -> int:
        model, batch = make_model(), make_batch([length] * 2)
        objective = Classification(None, recompute)
        plan = objective.plan(batch, DRAW)
        bytes_kept = activation_bytes(lambda: run(model, objective, batch, plan), model.parameters())
        return bytes_kept - batch.x.nbytes

    assert kept(1600, True) < 0.03 * kept(1600, False)
    assert kept(1600, True) < 2 * kept(400, True)


def test_windows_of_full_length_equal_plain_autograd_over_the_whole_sequence() -> None:
    model, batch = make_model(), make_batch([15, 15])
    objective = Classification(truncation=None)
    total, _ = run(model, objective, batch, objective.plan(batch, DRAW))
    outputs, _ = model.encoder.layer.lstm(model.encoder.embedding(batch.x))
    expected = torch.nn.functional.cross_entropy(
        model.classifier(outputs[:, -1]), batch.labels, reduction="sum"
    )
    assert_same(model, total, expected)


@pytest.mark.parametrize("many", [6, 30])  # 30: cut short by the rows
@pytest.mark.parametrize("symbols", [False, True])
def test_scheduled_sampling_in_two_passes_equals_sampling_on_the_way(symbols: bool, many: int) -> None:
    model, batch = make_model(symbols=symbols, position_cue=False), make_batch([12, 12, 6], symbols)
    objective = Reconstruction(2, many, truncation=4, sampling_steps=10)
    draw = Draw(seed=0, epoch=0, step=6)  # the chance of the truth is 0.4
    plan = objective.plan(batch, draw)
    total, _ = run(model, objective, batch, plan, draw)
    uniform = draw.uniform("reconstruction/sample", batch.rows, 2 * many).reshape(3, 2, many)
    coins = draw.uniform("reconstruction/coin", batch.rows, 2 * many).reshape(3, 2, many) < 0.4
    assert coins[:, :, 1:6].any() and not coins[:, :, 1:6].all()
    expected = torch.zeros((), dtype=torch.float64)
    for row in range(3):
        for n in range(2):
            anchor, place, length = (int(part[row, n]) for part in plan.segments)
            expected = expected + reference.reconstruction(
                model, batch.x[row], anchor, place, length, 4, True,
                feed_truth=coins[row, n, :length].tolist(), uniform=uniform[row, n, :length].tolist(),
            )  # fmt: skip
    assert_same(model, total, expected)


class Waits(TorchFunctionMode):
    """Notes what would wait for a GPU: a tensor's values asked for on the host."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = getattr(function, "__name__", "")
        if name in ("item", "tolist", "nonzero", "unique", "__bool__", "__int__", "__float__", "__index__"):
            self.found.append(name)
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("decoder_input", ["fed", "scheduled", "unfed"])
@pytest.mark.parametrize("symbols", [False, True])
def test_no_auxiliary_loss_waits_for_a_gpu(symbols: bool, decoder_input: str) -> None:
    model, batch = make_model(symbols=symbols), make_batch([12, 9, 5], symbols)
    objective = Reconstruction(2, 6, truncation=4, sampling_steps=10, decoder_input=decoder_input)
    with kernel.using("off"), Waits() as waits:
        losses(model, [objective, Prediction(2, 6)], batch, Draw(0, 0, 6))
    assert waits.found == []


def test_coins_are_drawn_for_what_the_rows_hold_and_not_for_the_setting() -> None:
    model, batch = make_model(position_cue=False), make_batch([12, 9])
    long = Reconstruction(2, 10**9, truncation=4, sampling_steps=10)
    total, _ = run(model, long, batch, long.plan(batch, Draw(0, 0, 5)), Draw(0, 0, 5))
    assert torch.isfinite(total)


@pytest.mark.parametrize("name", library.available())
@pytest.mark.parametrize("position_cue", [False, True])
@pytest.mark.parametrize("decoder_layers", [1, 2])
@pytest.mark.parametrize("symbols", [False, True])
def test_the_kernels_first_pass_feeds_what_the_slow_one_feeds(
    symbols: bool, decoder_layers: int, position_cue: bool, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    settings = {"position_cue": position_cue, "decoder_layers": decoder_layers, "dropconnect": 0.5}
    model = make_model(symbols=symbols, **settings).float()
    batch = make_batch([40] * 9 + [23] * 4, symbols)
    batch = batch if symbols else replace(batch, x=batch.x.float())
    objective = Reconstruction(3, 20, truncation=4, sampling_steps=10)
    draw = Draw(seed=1, epoch=0, step=7)
    fed: list[torch.Tensor] = []
    plain = Reconstruction._scheduled_inputs

    def note(*given: Any) -> torch.Tensor:
        fed.append(plain(*given))
        return fed[-1]

    by_the_kernel: list[bool] = []
    fast = Decoder.sample_by_kernel

    def noted(*given: Any) -> torch.Tensor | None:
        done = fast(*given)
        by_the_kernel.append(done is not None)
        return done

    monkeypatch.setattr(Reconstruction, "_scheduled_inputs", note)
    monkeypatch.setattr(Decoder, "sample_by_kernel", noted)
    found = []
    for kernel_name in (name, "off"):
        with kernel.using(kernel_name):
            total = losses(model, [objective], batch, draw)["reconstruction"].total
        found.append([fed[-1], total.detach(), *gradients(total, model)])
    assert len(fed) == 2 and fed[0].shape[:2] == (39, 20)
    assert by_the_kernel == [True, False]
    torch.testing.assert_close(found[0], found[1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", library.available())
@pytest.mark.parametrize("symbols", [False, True])
def test_all_losses_and_gradients_are_the_same_on_every_kernel(
    symbols: bool, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backcast.nn.lstm.FEWEST_STEPS", 0)  # the windows here are short
    objectives = [
        Classification(6),
        Reconstruction(3, 5, truncation=4, decoder_input="fed"),
        Prediction(2, 4),
    ]
    found = []
    for dtype, kernel_name in ((torch.float64, "off"), (torch.float32, name), (torch.float32, "off")):
        model, batch = make_model(symbols=symbols).to(dtype), make_batch(RAGGED * 3, symbols)
        batch = batch if symbols else replace(batch, x=batch.x.to(dtype))
        with kernel.using(kernel_name):
            terms = losses(model, objectives, batch, DRAW)
            total = torch.stack([term.total for term in terms.values()]).sum()
            found.append([total.detach(), *gradients(total, model)])
    exact, ours, theirs = ([part.double() for part in parts] for parts in found)
    for slow, one, other in zip(exact, ours, theirs, strict=True):
        assert float((one - slow).norm()) <= 1e-5 * float(slow.norm()) + 1e-6
        assert float((other - slow).norm()) <= 1e-5 * float(slow.norm()) + 1e-6


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Reconstruction(0, 5, 3), "anchors must be a whole number from 1, not 0"),
        (lambda: Reconstruction(1, 2.5, 3), "segment_length must be"),  # type: ignore[arg-type]
        (lambda: Reconstruction(1, 5, 0), "truncation must be"),
        (lambda: Reconstruction(1, 5, 3, decoder_truncation=-1), "decoder_truncation must be"),
        (lambda: Reconstruction(1, 5, 3, sampling_steps=0), "sampling_steps must be"),
        (lambda: Reconstruction(1, 5, 3, decoder_input="feed"), "one of fed, scheduled, unfed"),
        (lambda: Prediction(True, 5), "anchors must be"),
        (lambda: Prediction(1, 0), "segment_length must be"),
        (lambda: Classification(-5), "neither None nor 0, must be a whole number from 1, not -5"),
        (lambda: Classification(20, recompute=True), "truncation must be None, not 20"),
    ],
)
def test_settings_that_do_not_fit_are_refused(make: Callable[[], Objective], message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()


def test_the_chance_of_the_truth_falls_linearly_from_one_to_zero() -> None:
    model, batch = make_model(position_cue=False), make_batch([60] * 40)
    objective = Reconstruction(4, 50, truncation=1, sampling_steps=1000)
    for step, chance in ((0, 1.0), (250, 0.75), (1000, 0.0), (5000, 0.0)):
        draw = Draw(0, 0, step)
        plan = objective.plan(batch, draw)
        states = sweep(model.encoder, batch, plan.segments.anchors)
        positions = plan.segments.places[:, :, None] + np.arange(50)
        truth = batch.take(positions)
        places = torch.from_numpy(positions.reshape(160, 50) + 1)
        fed = objective._scheduled_inputs(
            model, batch, truth, places, states, model.decoder.output.second.weight, draw
        )
        is_truth = (fed == truth).all(dim=2)[:, 1:].double().mean()
        assert abs(float(is_truth) - chance) < 0.02
        assert (fed[:, 0] == truth[:, 0]).all() and not fed.requires_grad


def test_symbols_that_are_fed_back_are_sampled_from_the_softmax() -> None:
    from backcast.objectives.reconstruction import own_output

    model = make_model(symbols=True)
    scores = torch.tensor([0.1, 0.2, 0.3, 0.4, 0.0]).log().repeat(20_000, 1)
    found = own_output(model, scores, torch.rand(20_000, generator=torch.Generator().manual_seed(0)))
    shares = torch.bincount(found, minlength=5) / 20_000
    torch.testing.assert_close(shares, torch.tensor([0.1, 0.2, 0.3, 0.4, 0.0]), atol=0.02, rtol=0)


# --- indices -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("backwards", [False, True])
def test_on_a_ramp_a_decoder_that_copies_and_counts_gets_zero_loss(backwards: bool) -> None:
    """x_t = t: a decoder that adds one (backwards: takes one away) is right at every legal anchor and place."""

    class Counting(torch.nn.Module):
        position_cue = False

        def __init__(self) -> None:
            super().__init__()
            self.output = torch.nn.Module()
            self.output.drop = lambda generator: None

        def initial_state(self, state: object) -> object:
            return state

        def forward(self, fed: Tensor, places: Tensor, state: object, weight: object) -> object:
            assert torch.equal(places, (fed[:, :, 0] + (-1 if backwards else 1)).long())
            return fed + (-1 if backwards else 1), state

    total = 7
    model = make_model(method="r-lstm")
    model.decoder = Counting()
    batch = Batch(torch.arange(total, dtype=torch.float64)[None, :, None].repeat(1, 1, 2), np.array([total]),
                  torch.tensor([0]), np.array([0]))  # fmt: skip
    objective = Reconstruction(1, 3, truncation=2, decoder_input="fed", backwards=backwards)
    for anchor in range(1, total + 1):
        for place in range(0, min(anchor, total - 4) + 1):
            plan = Plan(window_starts(np.array([[anchor]]), 2), segments(anchor, place, 3))
            loss, count = run(model, objective, batch, plan)
            assert float(loss.detach()) == 0.0 and count == 3


def test_on_a_ramp_prediction_targets_are_one_step_ahead_of_what_is_read() -> None:
    model = make_model(method="p-lstm")
    batch = Batch(torch.arange(7.0, dtype=torch.float64)[None, :, None].repeat(1, 1, 2), np.array([7]),
                  torch.tensor([0]), np.array([0]))  # fmt: skip
    seen = {}

    def compare(predicted: Tensor, target: Tensor) -> Tensor:
        seen["target"] = target[0, :, 0].tolist()
        return predicted.sum(dim=2)

    model.element_losses = compare  # type: ignore[method-assign]
    for anchor in (0, 2):
        run(model, Prediction(1, 4), batch, Plan(np.array([[anchor]]), segments(anchor, anchor, 4)))
        assert seen["target"] == [anchor + 1, anchor + 2, anchor + 3, anchor + 4]


# --- batches -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("symbols", [False, True])
def test_a_padded_batch_gives_the_sums_of_its_rows_alone(symbols: bool) -> None:
    model, batch = make_model(symbols=symbols), make_batch(RAGGED, symbols)
    objectives = [Classification(4), Reconstruction(2, 5, 3, decoder_input="unfed"), Prediction(2, 5)]
    together = losses(model, objectives, batch, DRAW)
    alone = [losses(model, objectives, row_alone(batch, row), DRAW) for row in range(len(RAGGED))]
    for name, term in together.items():
        total = sum(other[name].total for other in alone)
        torch.testing.assert_close(term.total, total, rtol=1e-12, atol=1e-12)
        assert term.count == sum(other[name].count for other in alone)


def test_rows_without_labels_count_in_the_auxiliary_losses_alone() -> None:
    model, batch = make_model(), make_batch([8, 8, 8])
    unlabelled = Batch(batch.x, batch.lengths, torch.tensor([-1, 1, -1]), batch.rows)
    objectives = [Classification(4), Reconstruction(1, 3, 2, decoder_input="fed"), Prediction(1, 3)]
    terms = losses(model, objectives, unlabelled, DRAW)
    only = losses(model, objectives[:1], row_alone(unlabelled, 1), DRAW)
    assert (
        terms["classification"].count == 1 and terms["reconstruction"].count == terms["prediction"].count == 9
    )
    torch.testing.assert_close(terms["classification"].total, only["classification"].total)
    none = Batch(batch.x, batch.lengths, torch.tensor([-1, -1, -1]), batch.rows)
    assert losses(model, objectives, none, DRAW)["classification"].count == 0


def test_switching_one_loss_on_changes_nothing_in_the_others() -> None:
    both, one = make_model("rp-lstm"), make_model("r-lstm")
    batch = make_batch([9, 9, 9])
    r = Reconstruction(2, 4, 3, decoder_input="fed")
    together = losses(both, [Classification(4), r, Prediction(2, 4)], batch, DRAW)
    alone = losses(one, [Classification(4), r], batch, DRAW)
    assert torch.equal(together["classification"].total, alone["classification"].total)
    assert torch.equal(together["reconstruction"].total, alone["reconstruction"].total)


# --- memory ------------------------------------------------------------------------------------------------


def test_what_a_step_keeps_for_backward_does_not_grow_with_the_length() -> None:
    objectives = [Classification(8), Reconstruction(2, 8, 4, decoder_input="unfed"), Prediction(2, 8)]

    def kept(length: int) -> int:
        model, batch = make_model(), make_batch([length] * 4)
        # Every window whole: anchors far from both ends of the row.
        parameters = list(model.parameters())
        return activation_bytes(lambda: losses(model, objectives, batch, Draw(0, 0, 0)), parameters)

    short, long = kept(200), kept(3200)
    assert short > 10_000
    assert abs(long - short) <= 0.02 * short
    model, batch = make_model("lstm"), make_batch([3200] * 4)
    full = activation_bytes(
        lambda: losses(model, [Classification(None)], batch, DRAW), list(model.parameters())
    )
    assert full > 5 * long


def test_in_training_every_step_drops_other_weights_and_in_evaluation_none_does() -> None:
    model, batch = make_model("rp-lstm", dropconnect=0.5), make_batch(RAGGED)
    objectives = [Classification(None), Reconstruction(2, 5, 3, decoder_input="fed"), Prediction(2, 4)]

    def found(step: int) -> dict[str, float]:
        terms = losses(model, objectives, batch, Draw(seed=0, epoch=0, step=step))
        return {name: float(term.total.detach()) for name, term in terms.items()}

    first, again, second = found(0), found(0), found(1)
    assert first == again and not set(first.values()) & set(second.values())
    model.eval()
    kept = found(0)
    assert kept == found(1) and not set(kept.values()) & set(first.values())
