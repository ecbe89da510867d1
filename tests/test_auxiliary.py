"""The auxiliary loss beside a network of one's own; regression and weights of rows beside classification."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import backcast.auxiliary as auxiliary_module
from backcast import AuxiliaryLoss, InputError
from backcast.batch import Batch
from backcast.nn.model import Model
from backcast.objectives import (
    AveragedRegression,
    Classification,
    Draw,
    Objective,
    Prediction,
    Reconstruction,
    Regression,
    WholeSequence,
    losses,
)
from conftest import make_batch, make_model

LOSS = Reconstruction(anchors=3, segment_length=4, truncation=2, decoder_input="unfed")
DRAW = Draw(0, 0, 0)


class TwoMethods(nn.Module):
    """The least that a recurrent network may be."""

    def __init__(self, lstm: nn.LSTM) -> None:
        super().__init__()
        self.lstm = lstm

    def zero_state(self, batch_size: int) -> tuple[Tensor, ...]:
        zeros = self.lstm.all_weights[0][1].new_zeros(batch_size, self.lstm.hidden_size)
        return zeros, zeros

    def forward(self, x: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        outputs, (h, c) = self.lstm(x, (state[0][None], state[1][None]))
        return outputs, (h[0], c[0])


class GRUMethods(nn.Module):
    """A network whose state has one part."""

    def __init__(self, gru: nn.GRU) -> None:
        super().__init__()
        self.gru = gru

    def zero_state(self, batch_size: int) -> tuple[Tensor, ...]:
        return (self.gru.all_weights[0][1].new_zeros(batch_size, self.gru.hidden_size),)

    def forward(self, x: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        outputs, h = self.gru(x, state[0][None])
        return outputs, (h[0],)


def lstm(seed: int = 0) -> nn.LSTM:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.LSTM(2, 6, batch_first=True)


@pytest.mark.parametrize("objective", [LOSS, replace(LOSS, decoder_input="scheduled"), Prediction(3, 4)])
def test_an_lstm_and_its_two_methods_give_the_same_loss_and_gradient(objective: Objective) -> None:
    x = torch.from_numpy(np.random.default_rng(0).normal(size=(5, 20, 2))).float()
    found = []
    for wrap in (lambda own: own, TwoMethods):
        own = lstm()
        auxiliary = AuxiliaryLoss(wrap(own), objective, channels=2)
        loss = auxiliary(x, lengths=[20, 9, 20, 12, 20])
        loss.backward()
        assert all(parameter.grad is not None for parameter in own.parameters())
        found.append((loss.item(), own.weight_hh_l0.grad))
        mine = {id(parameter) for parameter in own.parameters()}
        assert mine.isdisjoint({id(parameter) for parameter in auxiliary.parameters()})
        used = [parameter.grad is not None for parameter in auxiliary.parameters()]
        assert all(used), "a parameter without a gradient stops DistributedDataParallel"
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-5)
    assert torch.allclose(found[0][1], found[1][1], atol=1e-6)


def test_its_randomness_follows_from_the_seed_and_the_steps() -> None:
    x = torch.from_numpy(np.random.default_rng(0).normal(size=(5, 20, 2))).float()
    before = torch.random.get_rng_state()
    first, second = (AuxiliaryLoss(lstm(), LOSS, channels=2, embedding_size=4) for _ in range(2))
    values = [first(x).item(), first(x).item()]
    assert values[0] != values[1]
    second(x)
    second.load_state_dict(first.state_dict())
    assert second.steps == 2 and second(x).item() == first(x).item()
    first.eval()
    assert first(x).item() == first(x).item()
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize("objective", [replace(LOSS, anchors=1), Prediction(1, 4)])
def test_no_gradient_comes_from_the_targets(objective: Objective) -> None:
    x = torch.randn(1, 30, 2, generator=torch.Generator().manual_seed(0), requires_grad=True)
    AuxiliaryLoss(lstm(), objective, channels=2, position_cue=False)(x).backward()
    assert x.grad is not None
    reached = np.flatnonzero(x.grad[0].abs().sum(dim=-1).numpy()).tolist()
    plan = objective.plan(Batch.of(x.detach()), DRAW)
    assert plan.segments is not None
    anchor, place, length = (int(part[0, 0]) for part in plan.segments)
    if isinstance(objective, Prediction):
        assert length == 4 and reached == list(
            range(place, place + length)
        )  # the last target is fed to nothing
    else:
        assert reached == sorted(
            {*range(anchor - 2, anchor), place + length}
        )  # backwards, the first one alone is fed


class TwoLayers(TwoMethods):
    """A state of four parts, as one wraps an LSTM of two layers without a thought."""

    def zero_state(self, batch_size: int) -> tuple[Tensor, ...]:
        return super().zero_state(batch_size) * 2


class Wider(TwoMethods):
    """Outputs wider than the state."""

    output_size = 9

    def forward(self, x: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        outputs, state = super().forward(x, state)
        return torch.cat([outputs, outputs[..., :3]], dim=-1), state


def test_networks_that_a_decoder_cannot_start_from_are_refused() -> None:
    with pytest.raises(
        InputError, match=r"the parts \(B, 6\), \(B, 6\), \(B, 6\), \(B, 6\).*join them along H"
    ):
        AuxiliaryLoss(TwoLayers(lstm()), LOSS, channels=2)
    with pytest.raises(InputError, match="embed the symbols"):
        AuxiliaryLoss(lstm(), LOSS, symbols=2)
    x = torch.zeros(2, 20, 2)
    assert AuxiliaryLoss(Wider(lstm()), Prediction(1, 4), channels=2)(x).isfinite()
    assert AuxiliaryLoss(Wider(lstm()), LOSS, channels=2)(x).isfinite()


@pytest.mark.parametrize("objective", [LOSS, Prediction(1, 4)])
def test_states_and_outputs_of_another_form_are_refused(objective: Objective) -> None:
    class Given(TwoMethods):
        def __init__(self, first: Any) -> None:
            super().__init__(lstm())
            self.first = first

        def zero_state(self, batch_size: int) -> Any:
            return self.first

    for first, said in (
        (torch.zeros(2, 6), "gives a Tensor; it must give a tuple"),
        ((), "gives a tuple; it must give a tuple of tensors"),
        ((torch.zeros(1, 2, 6),), r"the shape \(1, 2, 6\); the rows must be its first dimension"),
    ):
        with pytest.raises(InputError, match=said):
            AuxiliaryLoss(Given(first), objective, channels=2)


def test_outputs_of_another_width_than_said_are_refused() -> None:
    class Silent(Wider):
        output_size = 6

    with pytest.raises(InputError, match=r"are 9 wide, where 6 were expected.*an attribute output_size = 9"):
        AuxiliaryLoss(Silent(lstm()), Prediction(1, 4), channels=2)(torch.zeros(2, 20, 2))


def test_in_evaluation_nothing_is_dropped() -> None:
    x = torch.from_numpy(np.random.default_rng(0).normal(size=(5, 20, 2))).float()
    for objective in (LOSS, Prediction(3, 4)):
        dropping, keeping = (AuxiliaryLoss(lstm(), objective, channels=2, dropconnect=p) for p in (0.5, 0.0))
        assert dropping(x).item() != keeping(x).item()
        assert dropping.eval()(x).item() == keeping.eval()(x).item()


class Picky(TwoMethods):
    """Refuses what cuDNN does: a state that is not contiguous."""

    def forward(self, x: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        assert all(part.is_contiguous() for part in state)
        return super().forward(x, state)


@pytest.mark.parametrize("recompute", [False, True])
@pytest.mark.parametrize("auxiliary", [Prediction(1, 4), replace(LOSS, anchors=1, truncation=1)])
def test_states_are_given_as_cudnn_takes_them(auxiliary: Objective, recompute: bool) -> None:
    model, batch = make_model("rp-lstm"), make_batch([20, 9, 20])
    model.encoder = Picky(lstm().double())
    supervised = Classification(None if recompute else 6, recompute)
    terms = losses(model, [supervised, auxiliary], batch, DRAW)
    sum(term.total for term in terms.values()).backward()
    assert model.encoder.lstm.weight_hh_l0.grad is not None


def test_objectives_are_told_apart_by_their_names() -> None:
    model, batch = make_model("r-lstm"), make_batch([20, 20])
    with pytest.raises(ValueError, match="same name"):
        losses(model, [LOSS, replace(LOSS, segment_length=8)], batch, DRAW)
    other = replace(LOSS, name="other")
    assert losses(model, [LOSS, other], batch, DRAW).keys() == {"reconstruction", "other"}
    assert (LOSS.plan(batch, DRAW).starts != other.plan(batch, DRAW).starts).any()


@pytest.mark.parametrize("lengths", [[0, 20], [20, 21], [-3, 5], [20], [[20, 20]], [2.7, 20]])
def test_lengths_that_are_none_are_refused(lengths: list[int]) -> None:
    with pytest.raises(ValueError, match=r"lengths: 2 whole numbers of 1 \.\. 20"):
        AuxiliaryLoss(lstm(), LOSS, channels=2)(torch.zeros(2, 20, 2), lengths)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"decoder_layers": 3}, "^decoder_layers 3: must be"),
        ({"dropconnect": 1.0}, "^dropconnect 1.0: must be"),
        ({"embedding_size": -1}, "^embedding_size -1: must be"),
        ({"embedding_size": 0}, "so embedding_size must not be 0; say position_cue=False"),
        ({"hidden_size": -4}, "^hidden_size -4: must be"),
        ({"objective": Classification(10)}, "needs no labels"),
        ({"objective": "reconstruction"}, "needs no labels"),
        ({"objective": Prediction}, r"a Prediction\(...\)"),
        ({"objective": WholeSequence(10, from_end=False)}, r"a Prediction\(...\)"),
        ({"channels": "2"}, "^channels='2': must be a whole number from 0"),
        ({"channels": 2.0}, "^channels=2.0: must be"),
        ({"symbols": None}, "^symbols=None: must be"),
    ],
)
def test_settings_out_of_range_are_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        AuxiliaryLoss(lstm(), **{"objective": LOSS, "channels": 2, **change})


@pytest.mark.filterwarnings("ignore:The .grad attribute")  # torch's own, where the graph breaks
def test_inside_a_compiled_function_it_is_computed_as_without() -> None:
    x = torch.from_numpy(np.random.default_rng(0).normal(size=(3, 20, 2))).float()
    plain, compiled = (AuxiliaryLoss(lstm(), LOSS, channels=2) for _ in range(2))

    def total(x: Tensor) -> Tensor:
        return x.square().mean() + compiled(x)

    assert torch.compile(total, backend="eager")(x).item() == pytest.approx(
        (x.square().mean() + plain(x)).item()
    )


def test_under_autocast_no_cast_of_the_sweep_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[bool] = []
    plain = auxiliary_module.losses

    def noted(*given: Any) -> Any:
        kept.append(torch.is_autocast_cache_enabled())
        return plain(*given)

    monkeypatch.setattr(auxiliary_module, "losses", noted)
    auxiliary = AuxiliaryLoss(lstm(), LOSS, channels=2)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        auxiliary(torch.ones(3, 20, 2)).backward()
        assert torch.is_autocast_cache_enabled()
    assert kept == [False]


def test_symbols_as_they_are_have_the_networks_precision() -> None:
    class OneHot(GRUMethods):
        def forward(self, x: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
            return super().forward(nn.functional.one_hot(x, 5).double(), state)

    own = OneHot(nn.GRU(5, 6, batch_first=True)).double()
    auxiliary = AuxiliaryLoss(
        own, replace(LOSS, decoder_input="fed"), symbols=5, embedding_size=0, position_cue=False
    ).double()
    assert auxiliary(torch.ones(3, 20, dtype=torch.int64)).dtype == torch.float64


def test_another_cell_in_double_precision_samples_its_inputs() -> None:
    own = GRUMethods(nn.GRU(2, 6, batch_first=True)).double()
    auxiliary = AuxiliaryLoss(own, replace(LOSS, decoder_input="scheduled"), channels=2, position_cue=False)
    auxiliary.double().steps += 5_000
    assert torch.isfinite(auxiliary(torch.ones(3, 20, 2).double()))


def test_symbols_and_other_widths() -> None:
    class Words(TwoMethods):
        def forward(self, x: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
            return super().forward(nn.functional.one_hot(x, 2).float(), state)

    auxiliary = AuxiliaryLoss(Words(lstm()), LOSS, symbols=2, hidden_size=9, decoder_layers=1)
    assert auxiliary(torch.randint(0, 2, (3, 10), generator=torch.Generator().manual_seed(0))).item() > 0


def test_what_cannot_be_used_is_refused() -> None:
    with pytest.raises(InputError, match="the LSTM has num_layers=2, not 1; wrap it in a class"):
        AuxiliaryLoss(nn.LSTM(2, 3, num_layers=2, batch_first=True), LOSS, channels=2)
    with pytest.raises(InputError, match="batch_first=False, not True; make it with batch_first=True"):
        AuxiliaryLoss(nn.LSTM(2, 3), LOSS, channels=2)
    with pytest.raises(InputError, match="either channels"):
        AuxiliaryLoss(lstm(), LOSS)
    with pytest.raises(InputError, match="channels=3: the LSTM reads vectors of 2 numbers"):
        AuxiliaryLoss(lstm(), LOSS, channels=3)
    for other in (nn.GRU(2, 6, batch_first=True), nn.Sequential(lstm())):
        message = f"the encoder is a {type(other).__name__}; wrap it in a class with the two methods"
        with pytest.raises(InputError, match=message):
            AuxiliaryLoss(other, LOSS, channels=2)
    for wrapped, inside in (
        (nn.DataParallel(lstm()), "module"),
        (torch.compile(lstm(), backend="eager"), "_orig_mod"),
    ):
        with pytest.raises(InputError, match=f"give the network inside it, its `{inside}`"):
            AuxiliaryLoss(wrapped, LOSS, channels=2)


def test_an_lstm_that_computes_something_else_is_not_taken_for_its_weights() -> None:
    class Doubled(nn.LSTM):
        def forward(self, x: Tensor, state: Any = None) -> Any:  # type: ignore[override]
            return super().forward(2 * x, state)

    with pytest.raises(InputError, match="the encoder is a Doubled; wrap it in a class with the two methods"):
        AuxiliaryLoss(Doubled(2, 6, batch_first=True), LOSS, channels=2)


@pytest.mark.parametrize(
    "objective", [LOSS, Prediction(anchors=3, segment_length=4)], ids=lambda one: one.name
)
@pytest.mark.parametrize("behind", [float("nan"), 1e30])
def test_what_stands_behind_a_rows_end_may_be_anything(objective: Objective, behind: float) -> None:
    x, lengths = torch.randn(4, 20, 2, generator=torch.Generator().manual_seed(0)), [20, 3, 2, 9]
    found = []
    for fill in (0.0, behind):
        for row, length in enumerate(lengths):
            x[row, length:] = fill
        torch.manual_seed(0)
        encoder = lstm()
        loss = AuxiliaryLoss(encoder, objective, channels=2)(x, lengths)
        loss.backward()
        found.append([loss.detach(), *(parameter.grad for parameter in encoder.parameters())])
    for one, other in zip(*found, strict=True):
        assert torch.equal(one, other) and torch.isfinite(one).all()


def test_symbols_that_are_none_behind_a_rows_end_are_not_read() -> None:
    auxiliary = AuxiliaryLoss(make_model("lstm", symbols=True).encoder, Prediction(2, 4), symbols=5).double()
    x = torch.randint(0, 5, (3, 12), generator=torch.Generator().manual_seed(0))
    x[1, 5:] = -100
    assert torch.isfinite(auxiliary(x, [12, 5, 12]))


def test_x_of_another_shape_or_type_is_refused() -> None:
    auxiliary = AuxiliaryLoss(TwoMethods(lstm()), LOSS, channels=2)
    for x, said in (
        (np.zeros((5, 20, 2), np.float32), "x is a ndarray; it must be a tensor"),
        (torch.zeros(5, 20, 2, dtype=torch.int64), "x is torch.int64; it must be floating point"),
        (torch.zeros(0, 20, 2), r"x has the shape \(0, 20, 2\); it must have a row"),
        (torch.zeros(5, 0, 2), r"x has the shape \(5, 0, 2\); it must have a row"),
    ):
        with pytest.raises(InputError, match=said):
            auxiliary(x)
    words = AuxiliaryLoss(make_model("lstm", symbols=True).encoder, Prediction(2, 4), symbols=5)
    for dtype in (torch.float32, torch.int32):
        with pytest.raises(InputError, match=f"x is {dtype}; it must be torch.int64"):
            words(torch.zeros(5, 20, dtype=dtype))
    for shape in ((5, 20), (5, 20, 3), (20,), (5, 20, 2, 1)):
        with pytest.raises(InputError, match=r"it must be \(rows, steps, 2\)"):
            auxiliary(torch.zeros(shape))
    with pytest.raises(
        InputError, match=r"x has the shape \(5, 20, 2\); it must be \(rows, steps\), symbols"
    ):
        AuxiliaryLoss(TwoMethods(lstm()), LOSS, symbols=2)(torch.zeros(5, 20, 2))
    with pytest.raises(
        InputError, match=r"x is torch.float64.*weights are torch.float32.*auxiliary.to\(torch.float64"
    ):
        AuxiliaryLoss(lstm().double(), LOSS, channels=2)(torch.zeros(5, 20, 2).double())
    for symbol in (-1, 5):
        with pytest.raises(InputError, match=rf"x holds the symbol {symbol}; symbols=5: they are 0 \.\. 4"):
            words(torch.full((5, 20), symbol))
    assert auxiliary.steps == words.steps == 0


def test_lengths_that_may_not_be_written_to_are_read_without_a_warning() -> None:
    lengths = np.array([20, 7])
    lengths.setflags(write=False)  # as pandas hands out its columns
    assert AuxiliaryLoss(lstm(), LOSS, channels=2)(torch.zeros(2, 20, 2), lengths).isfinite()


def model_of_one_output(method: str = "lstm") -> Model:
    model = make_model(method)
    assert model.classifier is not None
    model.classifier.last = nn.Linear(model.classifier.last.in_features, 1).double()
    return model


@pytest.mark.parametrize("truncation, recompute", [(None, False), (None, True), (5, False), (0, False)])
def test_regression_is_the_squared_error_from_the_last_output(
    truncation: int | None, recompute: bool
) -> None:
    model, batch = model_of_one_output(), make_batch([7, 12, 9, 12])
    targets = torch.tensor([0.5, float("nan"), -1.0, 2.0], dtype=torch.float64)
    weights = torch.tensor([1.0, 1.0, 2.0, 0.5], dtype=torch.float64)
    term = losses(
        model, [Regression(truncation, recompute)], replace(batch, targets=targets, weights=weights), DRAW
    )["regression"]
    assert term.count == 3 and model.classifier is not None
    expected = torch.zeros((), dtype=torch.float64)
    for row in (0, 2, 3):
        outputs, _ = model.encoder(batch.x[row : row + 1, : batch.lengths[row]], model.encoder.zero_state(1))
        expected = expected + weights[row] * (model.classifier(outputs[:, -1])[0, 0] - targets[row]) ** 2
    assert term.total.item() == pytest.approx(expected.item(), rel=1e-5)
    if truncation is None:
        parameters = list(model.parameters())
        pairs = zip(
            torch.autograd.grad(term.total, parameters, retain_graph=True),
            torch.autograd.grad(expected, parameters),
            strict=True,
        )
        assert all(torch.allclose(one, other, rtol=1e-4, atol=1e-7) for one, other in pairs)


def test_a_batch_without_targets_teaches_no_regression() -> None:
    batch = replace(make_batch([4, 4]), targets=torch.full((2,), float("nan")))
    for objective, method in ((Regression(None), "lstm"), (AveragedRegression(), "transformer")):
        term = losses(model_of_one_output(method), [objective], batch, DRAW)["regression"]
        assert term.count == 0 and not term.total.requires_grad


def test_weights_of_rows_count_in_classification() -> None:
    model, batch = make_model("lstm"), make_batch([7, 12, 9])
    classification = Classification(None)

    def total(rows: Batch) -> float:
        return losses(model, [classification], rows, DRAW)["classification"].total.item()

    each = [
        total(replace(batch, labels=torch.where(torch.arange(3) == row, batch.labels, -1)))
        for row in range(3)
    ]
    weighted = replace(batch, weights=torch.tensor([0.5, 2.0, 0.0], dtype=torch.float64))
    assert total(weighted) == pytest.approx(0.5 * each[0] + 2 * each[1], rel=1e-5)
