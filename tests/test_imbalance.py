"""Class weights: a rare class counts as much as a frequent one, and balanced accuracy chooses the epoch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight
from torch.nn import functional as F

from backcast import inference
from backcast.build import class_weights, load_model
from backcast.cli import main
from backcast.config import Config, resolve
from backcast.data.forms.arrays import from_arrays
from backcast.data.preprocessing import Preprocessing
from backcast.data.sequences import Sequences
from backcast.history import kept_epoch, read_metrics
from backcast.metrics import Scores
from backcast.objectives import Classification, Draw, losses
from backcast.prepared import prepare
from backcast.run import train
from conftest import make_batch, make_model

SMALL: dict[str, Any] = {
    "method": "lstm", "hidden_size": 6, "embedding_size": 4, "feedforward_size": 8, "truncation": 4, "epochs": 6,
    "batch_size": 16, "learning_rate": 0.01, "validation": 0.2, "device": "cpu", "dropconnect": 0.0,
}  # fmt: skip


def few_of_one_class(path: Path) -> Path:
    """300 rows, every tenth of the class 1, whose elements lie somewhat higher."""
    y = (np.arange(300) % 10 == 0).astype(np.int64)
    x = np.random.default_rng(0).normal(size=(300, 8)) + 0.5 * y[:, None]
    np.savez(path / "rare.npz", x=x, y=y)
    return path / "rare.npz"


def config(data: Path, **settings: Any) -> Config:
    return resolve([SMALL, {"data": str(data), **settings}])


def test_the_loss_is_a_weighted_cross_entropy_and_so_is_its_gradient() -> None:
    model, batch, weights = make_model("lstm"), make_batch([5, 9, 3, 7, 8, 6]), (0.2, 1.0, 3.5)
    batch.labels[2] = -1
    parameters = list(model.parameters())
    term = losses(model, [Classification(4, weights=weights)], batch, Draw(0, 0, 0))["classification"]
    gradient = torch.autograd.grad(term.total, parameters)
    logits = model.classifier(inference.last_outputs(model, batch))
    expected = F.cross_entropy(
        logits, batch.labels, logits.new_tensor(weights), ignore_index=-1, reduction="sum"
    )
    torch.testing.assert_close(term.total, expected)
    assert term.count == 5
    parts = []
    for number, weight in enumerate(weights):  # the weighted sum of what each class alone teaches
        only = make_batch([5, 9, 3, 7, 8, 6])
        only.labels[:] = torch.where(batch.labels == number, number, -1)
        alone = losses(model, [Classification(4)], only, Draw(0, 0, 0))["classification"]
        if alone.count:
            parts.append([weight * part for part in torch.autograd.grad(alone.total, parameters)])
    assert len(parts) > 1
    for found, *each in zip(gradient, *parts, strict=True):
        torch.testing.assert_close(found, torch.stack(each).sum(dim=0))


@pytest.mark.parametrize("seed", range(5))
def test_weights_are_those_of_scikit_learn_over_the_labelled_rows(seed: int) -> None:
    generator = np.random.default_rng(seed)
    y = np.concatenate([np.arange(4), generator.choice(4, 60, p=[0.7, 0.2, 0.07, 0.03])]).astype(float)
    y[generator.choice(np.arange(4, 64), 20, replace=False)] = np.nan
    rows = from_arrays(np.zeros((64, 3)), y)
    labels = rows.labels[rows.labels >= 0]
    expected = compute_class_weight("balanced", classes=np.arange(4), y=labels)
    np.testing.assert_allclose(class_weights(rows), expected)
    assert np.mean(np.array(class_weights(rows))[labels]) == pytest.approx(1.0)


def test_weights_find_the_rare_class(tmp_path: Path) -> None:
    data = few_of_one_class(tmp_path)
    found = {}
    for how in ("none", "balanced"):
        run = tmp_path / how
        train(config(data, class_weights=how), run)
        held_out = prepare(config(data)).validation
        assert held_out is not None
        found[how] = load_model(run).evaluate(held_out)
    assert found["none"].balanced_accuracy == 0.5, "it names the common class, always"
    assert found["balanced"].balanced_accuracy > 0.6


@pytest.mark.parametrize(("how", "kept"), [("none", 1), ("balanced", 3)])
def test_the_epoch_is_chosen_by_balanced_accuracy_with_weights(
    how: str, kept: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Judged as told: epoch 1 is the most accurate, 3 the most balanced; 4 is as balanced, at a higher loss."""
    told = [
        ([[90, 0], [10, 0]], 0.1),
        ([[80, 10], [7, 3]], 0.3),
        ([[70, 20], [2, 8]], 0.4),
        ([[70, 20], [2, 8]], 0.5),
    ]

    def judge(model: object, preprocessing: Preprocessing, rows: Sequences, **options: object) -> Scores:
        confusion, loss = told[min(len(judged), 3)]
        judged.append(0)
        return Scores(np.array(confusion), loss)

    judged: list[int] = []
    monkeypatch.setattr("backcast.trainer.evaluate", judge)
    data, run = few_of_one_class(tmp_path), tmp_path / "run"
    flags = [word for name, value in SMALL.items() for word in ("--" + name.replace("_", "-"), str(value))]
    asked = ["train", str(data), *flags, "--class-weights", how]
    assert main([*asked, "--epochs", "4", "--out", str(run)]) == 0
    said = capsys.readouterr().out
    assert f"(epoch {kept} of 4)" in said and ("balanced 0.7889" in said) == (how == "balanced")
    best = kept_epoch(read_metrics(run / "metrics.jsonl"), how)
    assert best is not None and best["epoch"] == kept
    # --validation 0 takes the last epoch, but trains on other rows; so the run is stopped there instead.
    judged.clear()
    assert main([*asked, "--epochs", str(kept), "--out", str(tmp_path / "short")]) == 0
    whole, short = (load_model(folder).network.state_dict() for folder in (run, tmp_path / "short"))
    assert all(torch.equal(value, short[name]) for name, value in whole.items())
