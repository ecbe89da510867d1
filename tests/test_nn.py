"""Networks: the folded embedding, DropConnect, initial weights."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from backcast import kernel
from backcast.nn import decoder
from backcast.nn.decoder import Decoder
from backcast.nn.embedding import Embedding, sinusoidal_positions
from backcast.nn.feedforward import FeedForward
from backcast.objectives import Draw, Reconstruction, losses
from conftest import make_batch, make_model


def test_the_folded_embedding_computes_what_the_plain_one_does() -> None:
    model = make_model()
    x = torch.randn(3, 7, 2, dtype=torch.float64)
    state = model.encoder.zero_state(3)
    outputs, after = model.encoder(x, state)
    expected, end = model.encoder.layer(model.encoder.embedding(x), state)
    torch.testing.assert_close(outputs, expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(after.c, end.c, rtol=0, atol=1e-12)


def test_dropconnect_drops_weights_at_its_rate_and_keeps_the_mean() -> None:
    network = FeedForward(4, 256, 2, dropconnect=0.3)
    torch.nn.init.ones_(network.second.weight)
    dropped = network.drop(torch.Generator().manual_seed(0)).detach()
    assert abs(float((dropped == 0).float().mean()) - 0.3) < 0.01
    assert abs(float(dropped.mean()) - 1.0) < 0.02
    again = network.drop(torch.Generator().manual_seed(0)).detach()
    assert torch.equal(dropped, again)


def test_initial_weights_depend_on_the_seed_and_the_name_alone() -> None:
    before = torch.random.get_rng_state()
    small, large, other = make_model("lstm"), make_model("rp-lstm"), make_model("lstm", seed=1)
    assert torch.equal(before, torch.random.get_rng_state())
    theirs = large.state_dict()
    for name, value in small.state_dict().items():
        assert torch.equal(value, theirs[name])
        assert name.endswith(("bias_ih_l0", "bias_hh_l0")) or not torch.equal(value, other.state_dict()[name])


def test_the_forget_gate_bias_begins_where_it_is_set() -> None:
    lstms = [
        module
        for module in make_model("rp-lstm", forget_gate_bias=3).modules()
        if isinstance(module, torch.nn.LSTM)
    ]
    assert len(lstms) > 1  # the auxiliary networks', too
    for lstm in lstms:
        size = lstm.hidden_size
        assert (lstm.bias_ih_l0[size : 2 * size] + lstm.bias_hh_l0[size : 2 * size] == 3).all()


def test_the_forget_gate_bias_begins_at_one() -> None:
    lstm = make_model().encoder.layer.lstm
    assert (lstm.bias_ih_l0[6:12] + lstm.bias_hh_l0[6:12] == 1).all()


def test_a_bridge_carries_the_state_to_a_decoder_of_another_width() -> None:
    wider = make_model("r-lstm", decoder_hidden_size=9).decoder
    state = make_model().encoder.zero_state(2)
    assert wider.initial_state(state).bottom.h.shape == (2, 9)
    assert make_model("r-lstm").decoder.bridge_h is None


def test_the_position_cue_is_as_fine_in_mixed_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def note(places: torch.Tensor, width: int, dtype: torch.dtype) -> torch.Tensor:
        seen.append(dtype)
        return sinusoidal_positions(places, width, dtype)

    monkeypatch.setattr(decoder, "sinusoidal_positions", note)
    model, batch = make_model("r-lstm", position_cue=True).float(), make_batch([12, 9])
    batch = replace(batch, x=batch.x.float())
    with torch.autocast("cpu", dtype=torch.bfloat16, cache_enabled=False):
        losses(model, [Reconstruction(1, 4, 2, decoder_input="unfed")], batch, Draw(0, 0, 0))
    assert seen == [torch.float32]


def test_the_position_cue_tells_places_apart_in_float32() -> None:
    places = torch.arange(2000)
    exact = sinusoidal_positions(places, 128, torch.float64)
    assert (sinusoidal_positions(places, 128, torch.float32) - exact).abs().max() < 1e-3
    assert len(torch.unique(sinusoidal_positions(places, 128, torch.float32), dim=0)) == 2000


@pytest.mark.skipif(not kernel.usable(torch.zeros(1)), reason="only the kernel reads tables")
@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("position_cue", [True, False])
@pytest.mark.parametrize("symbols", [0, 5])
def test_steps_that_are_not_fed_read_a_table_of_what_they_would_read(
    monkeypatch: pytest.MonkeyPatch, symbols: int, position_cue: bool, first: int
) -> None:
    generator = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    embedding = Embedding(symbols, 1 if symbols else 2, 6)
    made = Decoder(embedding, 7, 7, 2, symbols or 2, 9, 0.0, position_cue, bridged=False)
    count, length = 6, 12
    truth = (
        torch.randint(0, 5, (count, first)) if symbols else torch.randn(count, first, 2, generator=generator)
    )
    places = torch.randint(0, 20, (count, 1), generator=generator) + torch.arange(length)
    state = made.initial_state((torch.randn(count, 7, generator=generator),) * 2)
    parameters = [*made.parameters(), *embedding.parameters()]
    weights = torch.randn(count, length, symbols or 2, generator=generator)
    tables, plain = [], Decoder._table

    def results() -> list[Tensor]:
        output, _ = made(truth, places, state)
        gradients = torch.autograd.grad((output * weights).sum(), parameters, allow_unused=True)
        return [output.detach(), *(one for one in gradients if one is not None)]

    def counted(*asked: Any) -> Any:
        tables.append(plain(*asked))
        return tables[-1]

    monkeypatch.setattr(Decoder, "_table", counted)
    found = results()
    symbols_read, table = tables[0]
    assert symbols_read.shape == (count, length)
    assert len(table.base) <= (31 if position_cue else 1) + count * first, (
        "a row a place, and one a fed element"
    )
    monkeypatch.setattr(Decoder, "_table", lambda *asked: None)
    for one, other in zip(found, results(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
