"""Which rows are read together, and that it does not matter; batches that come from disk piece by piece."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from backcast import load
from backcast.build import build_network
from backcast.config import Config
from backcast.data import preprocessing as module
from backcast.data.batching import by_length, epoch_batches
from backcast.data.forms.python_objects import from_python
from backcast.data.preprocessing import Preprocessing
from backcast.data.reading import Reading
from backcast.data.sequences import Missing, Sequences, concatenate
from backcast.data.splitting import keep_labels
from backcast.data.store.writer import values_checksum
from backcast.inference import logits
from backcast.objectives import Draw, losses
from backcast.phases import phases


def ragged(count: int = 60, longest: int = 90, seed: int = 0, symbols: bool = False) -> Sequences:
    generator = np.random.default_rng(seed)
    lengths = generator.integers(1, longest + 1, count)
    if symbols:
        rows = [generator.integers(0, 7, n) for n in lengths]
    else:
        rows = [generator.normal(size=(n, 2)) for n in lengths]
    return from_python(rows, Reading(), y=np.arange(count) % 3).train


def test_every_row_comes_once_an_epoch_and_rows_of_similar_length_together() -> None:
    lengths = np.random.default_rng(0).integers(1, 1000, 900)
    rows = np.arange(0, 900, 2)
    batches = epoch_batches(lengths, rows, 16, seed=0, epoch=3)
    assert sorted(np.concatenate(batches).tolist()) == rows.tolist()
    padded = sum(len(batch) * lengths[batch].max() for batch in batches)
    order = np.random.default_rng(0).permutation(rows)
    plain = sum(len(part) * lengths[part].max() for part in np.array_split(order, len(batches)))
    assert padded < 1.1 * lengths[rows].sum() < 1.6 * lengths[rows].sum() < plain
    assert any((a != b).any() for a, b in zip(batches, epoch_batches(lengths, rows, 16, 0, 4), strict=True))
    firsts = [lengths[batch].max() for batch in batches]
    assert firsts != sorted(firsts)  # short rows do not come first


def test_rows_of_one_length_come_in_plain_random_order() -> None:
    batches = epoch_batches(np.full(10, 5), np.arange(10), 4, seed=1, epoch=0)
    assert [len(batch) for batch in batches] == [4, 4, 2]


def test_predictions_do_not_depend_on_what_else_is_in_the_batch() -> None:
    rows = ragged()
    fitted = Preprocessing.fit(rows)
    network = build_network(Config(hidden_size=8, embedding_size=4), fitted, 3)
    alone = torch.cat([logits(network, fitted, rows.select(np.array([i]))) for i in range(len(rows))])
    for size in (1, 7, 60):
        torch.testing.assert_close(logits(network, fitted, rows, batch_size=size), alone, atol=1e-5, rtol=0)
    assert sorted(np.concatenate(by_length(rows.lengths, 7)).tolist()) == list(range(60))


def test_a_network_is_float32_whatever_torchs_default_is() -> None:
    rows = ragged()
    fitted = Preprocessing.fit(rows)
    before = torch.get_default_dtype()
    for method in ("rp-lstm", "gru", "transformer"):
        torch.set_default_dtype(torch.float64)
        try:
            network = build_network(Config(method=method, hidden_size=8, embedding_size=4), fitted, 3)
            found = logits(network, fitted, rows)
        finally:
            torch.set_default_dtype(before)
        assert torch.equal(found, logits(network, fitted, rows)) and found.dtype == torch.float32


@pytest.mark.parametrize("symbols", [False, True])
@pytest.mark.parametrize("method", ["rp-lstm", "lstm"])
def test_a_batch_from_disk_gives_the_same_losses(
    monkeypatch: pytest.MonkeyPatch, symbols: bool, method: str
) -> None:
    rows = ragged(count=5, longest=3000, symbols=symbols)
    fitted = Preprocessing.fit(rows)
    config = Config(
        method=method,
        hidden_size=8,
        embedding_size=4,
        truncation=20,
        segment_length=10,
        decoder_input="scheduled",
    )
    network = build_network(config, fitted, 3)
    found = []
    for limit in (module.BATCH_BYTES, 0):
        monkeypatch.setattr(module, "BATCH_BYTES", limit)
        monkeypatch.setattr("backcast.sweep.DISK_PIECE", 1000)
        batch = fitted.batch(rows, np.arange(5))
        assert batch.on_disk == (limit == 0)
        terms = losses(network, list(phases(config)[-1].objectives), batch, Draw(0, 0, 7))
        found.append({name: float(term.total.detach()) / max(term.count, 1) for name, term in terms.items()})
    assert found[0] == pytest.approx(found[1], rel=1e-5) and len(found[0]) == (
        3 if method == "rp-lstm" else 1
    )


def test_rows_of_two_data_sets_are_read_as_one_without_a_copy() -> None:
    first, second = (load(texts).train for texts in (["abc", "cab"], ["bad", "dab"]))
    both = concatenate(first, second)
    assert both.symbols == ("a", "b", "c", "d")
    assert ["".join(both.symbols[i] for i in both.row(row)) for row in range(4)] == [
        "abc",
        "cab",
        "bad",
        "dab",
    ]
    fitted = Preprocessing.fit(first)
    assert fitted.unknown(both) == (2, ["d"])
    assert fitted.batch(both, np.arange(4)).slice(0, 3)[2].tolist() == [1, 0, 3]


def test_missing_values_of_both_parts_are_counted_at_their_place_in_the_whole() -> None:
    holes = np.full((2, 3, 1), 0.5)
    holes[1, 2] = np.nan
    whole = load(np.full((2, 3), 0.5)).train
    broken = replace(whole, values=holes.reshape(-1, 1), missing=Missing(total=1, row=1, step=2, channel=0))
    assert concatenate(whole, whole).missing is None
    assert concatenate(broken, whole).missing == Missing(1, 1, 2, 0)
    assert concatenate(whole, broken).missing == Missing(1, 3, 2, 0)
    assert concatenate(broken, broken).missing == Missing(2, 1, 2, 0)


def test_a_change_in_any_part_changes_the_checksum() -> None:
    first, second, other = (load(np.full((3, 4), value)).train for value in (0.5, 1.5, 2.5))
    one, two = (values_checksum(concatenate(first, part).values) for part in (second, other))
    assert one != two


def test_an_unknown_symbol_is_read_as_one_of_its_own() -> None:
    fitted = Preprocessing.fit(load(["ab", "ba"]).train)
    assert fitted.symbols == 3
    network = build_network(Config(method="lstm", hidden_size=4, embedding_size=4), fitted, 2)
    assert logits(network, fitted, load(["axb"]).train).isfinite().all()


def test_labels_are_taken_away_by_class_and_seed() -> None:
    rows = ragged(count=60)
    kept = keep_labels(rows, 0.2, seed=0)
    assert np.bincount(kept.labels[kept.labels >= 0]).tolist() == [4, 4, 4] and len(kept) == 60
    assert (keep_labels(rows, 0.01, 0).labels >= 0).sum() == 3  # at least one a class
    assert (keep_labels(rows, 0.2, 1).labels != kept.labels).any()
    assert keep_labels(rows, 1.0, 0) is rows


def test_rows_are_cut_only_where_asked_and_that_is_said(tmp_path: Path) -> None:
    path = tmp_path / "texts.csv"
    path.write_text("text,label\nabcdef,1\nab,2\n")
    said: list[str] = []
    rows = load(str(path), max_length=3, say=said.append).train
    assert rows.lengths.tolist() == [3, 2] and said == [f"{path}: 1 of 2 rows are cut to 3 steps"]
    assert load(str(path), say=said.append).train.lengths.tolist() == [6, 2] and len(said) == 1
