"""Networks: the folded embedding, DropConnect, initial weights."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from backcast.nn import decoder
from backcast.nn.embedding import sinusoidal_positions
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
