"""Runs: killed and resumed, stopped by what is not finite, chosen by validation, started from another run."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import backcast.run as run_module
from backcast.build import build_network, build_trainer, load_model
from backcast.checkpoint import Checkpoint, load_last, save_checkpoint
from backcast.commands import terminal
from backcast.config import Config, resolve
from backcast.errors import InputError, RunError
from backcast.files import write_atomically
from backcast.history import read_metrics
from backcast.prepared import prepare
from backcast.run import locked, read_config, train
from backcast.trainer import Interrupted

SMALL: dict[str, Any] = {
    "method": "rp-lstm", "hidden_size": 6, "embedding_size": 4, "feedforward_size": 8, "truncation": 4,
    "segment_length": 4, "anchors": 2, "batch_size": 16, "pretrain_epochs": 2, "epochs": 3,
    "decoder_input": "scheduled", "sampling_steps": 20, "checkpoint_minutes": 0, "device": "cpu",
}  # fmt: skip


class Killed(Exception):
    """Stands for a kill: nothing of the run sees it coming."""


def config(data: Path, **settings: Any) -> Config:
    return resolve([SMALL, {"data": str(data), **settings}])


def fill_disk(monkeypatch: pytest.MonkeyPatch, module: Any, is_full: Callable[[list[Path]], bool]) -> None:
    """From the write on at which `is_full` of all paths written so far, what `module` writes finds no room."""
    plain, calls = module.write_atomically, []

    def write(path: Path, content: bytes) -> None:
        calls.append(path)
        if is_full(calls):
            raise OSError(28, "No space left on device")
        plain(path, content)

    monkeypatch.setattr(module, "write_atomically", write)


def weights(run: Path) -> dict[str, torch.Tensor]:
    return load_file(run / "model" / "model.safetensors")


def assert_same_run(one: Path, other: Path) -> None:
    for name, value in weights(one).items():
        assert torch.equal(value, weights(other)[name]), name
    drop = ("seconds",)
    for first, second in zip(
        read_metrics(one / "metrics.jsonl"), read_metrics(other / "metrics.jsonl"), strict=True
    ):
        assert {k: v for k, v in first.items() if k not in drop} == {
            k: v for k, v in second.items() if k not in drop
        }


@pytest.mark.parametrize("steps_before", [1, 4, 5, 9, 13, 19])
@pytest.mark.parametrize("optimizer", ["rmsprop", "adam"])
def test_kill_and_resume_gives_the_same_bits(
    npz: Path, tmp_path: Path, steps_before: int, optimizer: str
) -> None:
    settings = config(npz, optimizer=optimizer)
    train(settings, tmp_path / "whole")
    done = []

    def die(description: str) -> None:
        done.append(description)
        if len(done) == steps_before:
            raise Killed

    with pytest.raises(Killed):
        train(settings, tmp_path / "killed", on_advance=die)
    train(settings, tmp_path / "killed", resume=True)
    assert_same_run(tmp_path / "whole", tmp_path / "killed")


def test_a_process_killed_outright_resumes_to_the_same_bits(npz: Path, tmp_path: Path) -> None:
    arguments = [sys.executable, "-m", "backcast", "train", str(npz), "--out", str(tmp_path / "killed")]
    for name, value in SMALL.items():
        arguments += ["--" + name.replace("_", "-"), str(value)]
    arguments += ["--epochs", "400"]
    process = subprocess.Popen(arguments, stderr=subprocess.DEVNULL)
    checkpoints = tmp_path / "killed" / "checkpoints"
    deadline = time.monotonic() + 60
    while not list(checkpoints.glob("step-*[1-9].safetensors")) and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.2)
    process.kill()
    process.wait()
    assert list(checkpoints.glob("step-*.safetensors"))
    # The same settings but for the number of epochs is another run; here both go the whole way.
    stopped = subprocess.Popen([*arguments, "--resume"], stderr=subprocess.PIPE, text=True)
    metrics, deadline = tmp_path / "killed" / "metrics.jsonl", time.monotonic() + 60
    while time.monotonic() < deadline:
        if metrics.exists() and metrics.read_text().count('"event": "epoch"') >= 8:
            break
        time.sleep(0.05)
    stopped.send_signal(signal.SIGTERM)
    _, message = stopped.communicate(timeout=60)
    assert stopped.returncode == 1 and "go on with: backcast train --resume" in message
    read = read_metrics(tmp_path / "killed" / "metrics.jsonl")
    steps = [entry["step"] for entry in read]
    assert steps == sorted(set(steps)), "an epoch was recorded twice"
    train(config(npz, epochs=len(read) - 2), tmp_path / "whole")
    for mine, other in zip(read, read_metrics(tmp_path / "whole" / "metrics.jsonl"), strict=True):
        assert mine["reconstruction"] == other["reconstruction"] and mine["step"] == other["step"]


def test_resume_of_a_finished_run_does_nothing_and_without_a_checkpoint_starts_over(
    npz: Path, tmp_path: Path
) -> None:
    said: list[str] = []
    run, settings = tmp_path / "run", config(npz)
    train(settings, run)
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.is_file()}
    model = train(settings, run, resume=True, say=said.append)
    assert before == {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.is_file()}
    assert "finished" in said[0]
    for name, value in model.network.state_dict().items():
        assert torch.equal(value, weights(run)[name])
    first = weights(run)
    for file in (run / "checkpoints").iterdir():
        file.unlink()
    train(settings, run, resume=True, say=said.append)
    assert "starting over" in said[-1]
    assert all(torch.equal(value, weights(run)[name]) for name, value in first.items())
    train(settings, tmp_path / "new", resume=True)
    assert_same_run(run, tmp_path / "new")


def test_a_run_whose_metrics_lack_what_its_checkpoint_counts_does_not_go_on(
    npz: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    train(config(npz), run)
    metrics = run / "metrics.jsonl"
    whole = metrics.read_bytes()
    for left in (whole[: len(whole) // 2], b"", None):
        metrics.unlink()
        if left is not None:
            metrics.write_bytes(left)
        with pytest.raises(InputError, match=r"metrics\.jsonl: is damaged: it is shorter than at the last"):
            train(config(npz), run, resume=True)
        metrics.write_bytes(whole)
    train(config(npz), run, resume=True)


def test_data_that_moved_are_found_there_from_then_on(npz: Path, tmp_path: Path) -> None:
    with pytest.raises(Killed):
        train(config(npz), tmp_path / "run", on_advance=_die_after(5))
    moved = npz.rename(tmp_path / "moved.npz")
    train(config(moved), tmp_path / "run", resume=True)
    assert read_config(tmp_path / "run") == config(moved)
    assert load_model(tmp_path / "run").config.data == str(moved)


def test_a_link_in_a_run_that_is_replaced_goes_without_what_it_points_to(npz: Path, tmp_path: Path) -> None:
    run, elsewhere = tmp_path / "run", tmp_path / "elsewhere"
    train(config(npz), run)
    (run / "checkpoints").rename(elsewhere)
    (run / "checkpoints").symlink_to(elsewhere)
    train(config(npz, seed=1), run, overwrite=True)
    assert list(elsewhere.iterdir()) and not (run / "checkpoints").is_symlink()


@pytest.mark.parametrize("damage", ["cut", "flipped", "foreign", "empty"])
def test_a_damaged_checkpoint_is_said_and_the_one_before_it_used(
    npz: Path, tmp_path: Path, damage: str
) -> None:
    settings, said = config(npz), []
    train(settings, tmp_path / "whole")
    with pytest.raises(Killed):
        train(settings, tmp_path / "run", on_advance=_die_after(9))
    last = sorted((tmp_path / "run" / "checkpoints").iterdir())[-1]
    content = last.read_bytes()
    if damage == "cut":
        last.write_bytes(content[: len(content) // 2])
    elif damage == "flipped":
        last.write_bytes(content[:-9] + bytes([content[-9] ^ 1]) + content[-8:])
    elif damage == "empty":
        last.write_bytes(b"")
    else:
        other = config(npz, seed=5)
        with pytest.raises(Killed):
            train(other, tmp_path / "other", on_advance=_die_after(9))
        last.write_bytes(sorted((tmp_path / "other" / "checkpoints").iterdir())[-1].read_bytes())
    train(settings, tmp_path / "run", resume=True, say=said.append)
    assert str(last) in said[0] and "the one before it" in said[0]
    assert_same_run(tmp_path / "whole", tmp_path / "run")


def test_a_damaged_checkpoint_does_not_take_the_place_of_a_good_one(tmp_path: Path) -> None:
    def save(step: int) -> Path:
        return save_checkpoint(
            tmp_path, Checkpoint({"x": torch.ones(1)}, {"step": step, "fingerprint": "own"})
        )

    save(50)
    save(100).write_bytes(b"damaged")
    save(60)
    save(70).write_bytes(b"damaged")
    said: list[str] = []
    found = load_last(tmp_path, "own", said.append)
    assert found is not None and found.meta["step"] == 60 and len(said) == 1


@pytest.mark.parametrize("asked", [1, 2, 3, 6])
def test_a_stop_always_leaves_its_checkpoint(npz: Path, tmp_path: Path, asked: int) -> None:
    answers = iter([False] * (asked - 1))
    advanced: list[str] = []
    with pytest.raises(Interrupted):
        train(config(npz, checkpoint_minutes=60), tmp_path / "run", on_advance=advanced.append, stop=lambda: next(answers, True))  # fmt: skip
    last = max((tmp_path / "run" / "checkpoints").iterdir())
    assert last.name == f"step-{len(advanced):010d}.safetensors"


@pytest.mark.skipif(sys.platform == "win32", reason="it has no SIGHUP")
def test_a_closing_terminal_stops_a_run_as_ctrl_c_does(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(line: str) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(terminal, "say", gone)
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    signal.signal(signal.SIGHUP, lambda number, frame: None)  # tests may run behind nohup
    try:
        stop = terminal.stop_on_signals()
        assert not stop()
        for _ in range(2):  # as a closing terminal does
            os.kill(os.getpid(), signal.SIGHUP)
        assert stop()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_attention_judges_as_many_rows_at_once_as_it_trains_on(npz: Path, tmp_path: Path) -> None:
    settings = config(npz, method="transformer", batch_size=3, epochs=1, validation=0.3)
    ready = prepare(settings)
    network = build_network(settings, ready.preprocessing, len(ready.train.classes))
    rows: list[int] = []
    network.encoder.register_forward_pre_hook(lambda module, given: rows.append(len(given[0])))
    trainer = build_trainer(
        settings, network, ready.preprocessing, ready.train, ready.validation, torch.device("cpu")
    )
    trainer._judged(ready.validation)
    assert sum(rows) == len(ready.validation) > 3 == max(rows)


def _die_after(steps: int) -> Any:
    done: list[str] = []

    def die(description: str) -> None:
        done.append(description)
        if len(done) == steps:
            raise Killed

    return die


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_last_good_checkpoint(
    npz: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from backcast.nn.model import Model

    plain, calls = Model.element_losses, []

    def explode(self: Model, predicted: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        calls.append(1)
        return plain(self, predicted, target) * (float("nan") if len(calls) > 7 else 1.0)

    monkeypatch.setattr(Model, "element_losses", explode)
    with pytest.raises(
        RunError, match=r"the loss is nan in phase pretraining, epoch 1, step 4.*learning rate"
    ):
        train(config(npz), tmp_path / "run")
    assert [p.name for p in sorted((tmp_path / "run" / "checkpoints").iterdir())][
        -1
    ] == "step-0000000003.safetensors"


def test_a_full_disk_stops_the_run_keeps_the_last_good_checkpoint_and_resumes(
    npz: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = config(npz)
    train(settings, tmp_path / "whole")
    import backcast.checkpoint as module

    fill_disk(monkeypatch, module, lambda calls: len(calls) > 6)
    with pytest.raises(RunError, match=r"No space left on device.*--resume"):
        train(settings, tmp_path / "run")
    assert len(list((tmp_path / "run" / "checkpoints").iterdir())) == 2
    monkeypatch.undo()
    train(settings, tmp_path / "run", resume=True)
    assert_same_run(tmp_path / "whole", tmp_path / "run")


@pytest.mark.parametrize("reason", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_an_interrupted_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reason: BaseException
) -> None:
    import os

    from backcast.files import write_atomically

    write_atomically(tmp_path / "a", b"old")

    def fail(*arguments: object) -> None:
        raise reason

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(type(reason)):
        write_atomically(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"old" and len(list(tmp_path.iterdir())) == 1


def test_two_that_write_one_file_leave_one_of_both(tmp_path: Path) -> None:
    versions = [bytes([letter]) * 100_000 for letter in b"ab"]

    def write(content: bytes) -> None:
        for _ in range(20):
            write_atomically(tmp_path / "file", content)
            assert (tmp_path / "file").read_bytes() in versions

    with ThreadPoolExecutor(2) as both:
        list(both.map(write, versions))
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    (tmp_path / "link").symlink_to(tmp_path / "file")
    write_atomically(tmp_path / "link", b"through")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "file").read_bytes() == b"through"


@pytest.mark.skipif(sys.platform == "win32", reason="it has no terminals that are files")
def test_a_terminal_is_written_to_and_not_replaced() -> None:
    reader, terminal = os.openpty()
    write_atomically(Path(os.ttyname(terminal)), b"shown")
    assert os.read(reader, 100) == b"shown"


def test_the_best_epoch_on_validation_is_taken_and_without_validation_the_last(
    npz: Path, tmp_path: Path
) -> None:
    train(config(npz, method="lstm", epochs=12, learning_rate=0.02), tmp_path / "best")
    scores = [e["validation_accuracy"] for e in read_metrics(tmp_path / "best" / "metrics.jsonl")]
    prepared = prepare(config(npz, method="lstm"))
    assert load_model(tmp_path / "best").evaluate(prepared.validation).accuracy == max(scores)
    train(config(npz, method="lstm", validation=0), tmp_path / "last")
    entries = read_metrics(tmp_path / "last" / "metrics.jsonl")
    assert "validation_accuracy" not in entries[-1]
    last = sorted((tmp_path / "last" / "checkpoints").iterdir())[-1]
    for name, value in weights(tmp_path / "last").items():
        assert torch.equal(value, load_file(last)[f"model.{name}"])


def test_the_config_of_a_run_starts_the_same_run_again(npz: Path, tmp_path: Path) -> None:
    from backcast.run import read_config

    train(config(npz, halve_at="1,2", truncation="none"), tmp_path / "one")
    again = read_config(tmp_path / "one")
    assert again == config(npz, halve_at=(1, 2), truncation=None)
    train(again, tmp_path / "two")
    assert_same_run(tmp_path / "one", tmp_path / "two")


def test_pretrain_once_then_fine_tune(npz: Path, tmp_path: Path) -> None:
    train(config(npz, epochs=0), tmp_path / "pretrained")
    with pytest.raises(InputError, match="only been pretrained"):
        load_model(tmp_path / "pretrained").evaluate(prepare(config(npz)).train)
    tuned = train(config(npz, method="lstm", from_run=str(tmp_path / "pretrained")), tmp_path / "tuned")
    fresh = train(config(npz, method="lstm"), tmp_path / "fresh")
    source = load_model(tmp_path / "pretrained")
    assert tuned.preprocessing == source.preprocessing
    name = "encoder.layer.lstm.weight_hh_l0"
    near = (tuned.network.state_dict()[name] - source.network.state_dict()[name]).norm()
    far = (fresh.network.state_dict()[name] - source.network.state_dict()[name]).norm()
    assert near < far
    with pytest.raises(InputError, match="--hidden-size"):
        train(config(npz, hidden_size=7, from_run=str(tmp_path / "pretrained")), tmp_path / "bad")
    with pytest.raises(InputError, match="--embedding-size"):
        train(config(npz, embedding_size=0, from_run=str(tmp_path / "pretrained")), tmp_path / "bad")
    with pytest.raises(InputError, match="same main network"):
        train(config(npz, method="gru", from_run=str(tmp_path / "pretrained")), tmp_path / "bad")
    assert not (tmp_path / "bad").exists()


def test_what_has_begun_from_another_run_goes_on_without_it(npz: Path, tmp_path: Path) -> None:
    train(config(npz, epochs=0), tmp_path / "pretrained")
    changed = config(npz, epochs=3, from_run=str(tmp_path / "pretrained"))
    answers = iter([False] * 9)
    train(changed, tmp_path / "whole")
    with pytest.raises(Interrupted):
        train(changed, tmp_path / "stopped", stop=lambda: next(answers, True))  # fmt: skip
    shutil.rmtree(tmp_path / "pretrained")
    part = tmp_path / "stopped" / "checkpoints" / "step-0000000001.safetensors.77-88.part"
    part.write_bytes(b"killed meanwhile")
    train(changed, tmp_path / "stopped", resume=True)
    assert_same_run(tmp_path / "whole", tmp_path / "stopped")
    assert not part.exists()
    with pytest.raises(InputError, match="exclude each other"):
        train(changed, tmp_path / "stopped", resume=True, overwrite=True)


def test_a_run_from_another_whose_checkpoints_go_meanwhile_begins_from_it_again(
    npz: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(config(npz, epochs=0), tmp_path / "pretrained")
    changed = config(npz, from_run=str(tmp_path / "pretrained"))
    train(changed, tmp_path / "whole")
    answers = iter([False] * 3)
    with pytest.raises(Interrupted):
        train(changed, tmp_path / "stopped", stop=lambda: next(answers, True))
    monkeypatch.setattr(run_module.RunFolder, "last_checkpoint", lambda folder, warn: None)
    train(changed, tmp_path / "stopped", resume=True)
    assert_same_run(tmp_path / "whole", tmp_path / "stopped")


def test_rows_without_labels_train_both_phases(npz: Path, tmp_path: Path) -> None:
    arrays = dict(np.load(npz))
    arrays["y"][10:] = -1
    np.savez(tmp_path / "partly.npz", **arrays)
    settings = config(tmp_path / "partly.npz", missing_label="-1")
    prepared = prepare(settings)
    assert len(prepared.train) + len(prepared.validation or []) == 60 and len(prepared.classes) == 2
    train(settings, tmp_path / "partly")
    first = read_metrics(tmp_path / "partly" / "metrics.jsonl")
    assert first[0]["reconstruction"] > 0 and first[-1]["classification"] > 0
    np.savez(tmp_path / "more.npz", x=arrays["x"])
    more = prepare(config(npz, unlabeled=str(tmp_path / "more.npz")))
    assert len(more.train) == len(prepare(config(npz)).train) + 60
    assert (more.train.labels[-60:] == -1).all()


@pytest.mark.parametrize("method", ["lstm", "r-lstm", "p-lstm", "rp-lstm"])
@pytest.mark.parametrize("kind", ["real", "symbols"])
def test_every_method_trains_on_every_kind_of_rows_with_rows_of_one_step(
    method: str, kind: str, tmp_path: Path
) -> None:
    generator = np.random.default_rng(0)
    x = generator.integers(0, 4, (12, 9)) if kind == "symbols" else generator.normal(size=(12, 9))
    np.savez(tmp_path / "rows.npz", x=x, y=np.array(list("ab") * 6), lengths=np.array([9, 1] * 6))
    model = train(config(tmp_path / "rows.npz", method=method, validation=0), tmp_path / "run")
    assert model.classes == ("a", "b") and bool(model.preprocessing.symbols) == (kind == "symbols")
    again = load_model(tmp_path / "run")
    rows = prepare(config(tmp_path / "rows.npz", validation=0)).train
    np.testing.assert_array_equal(model.predict_proba(rows), again.predict_proba(rows))


def test_mixed_precision_trains_in_float32_weights(npz: Path, tmp_path: Path) -> None:
    model = train(config(npz, precision="bf16"), tmp_path / "run")
    assert all(p.dtype == torch.float32 for p in model.network.parameters())
    full = train(config(npz), tmp_path / "full")
    one, other = (read_metrics(tmp_path / name / "metrics.jsonl")[-1] for name in ("run", "full"))
    assert one["reconstruction"] != other["reconstruction"]
    assert abs(one["reconstruction"] - other["reconstruction"]) < 0.05
    assert full.classes == model.classes


def test_learning_rates_are_halved_on_their_dates(npz: Path, tmp_path: Path) -> None:
    train(config(npz, pretrain_halve_at=(1,), halve_at=(1, 2), learning_rate=0.01), tmp_path / "run")
    entries = read_metrics(tmp_path / "run" / "metrics.jsonl")
    assert [e["learning_rate"] for e in entries] == [0.001, 0.0005, 0.01, 0.005, 0.0025]
    assert [e["phase"] for e in entries] == ["pretraining"] * 2 + ["joint"] * 3


def test_phase_two_can_be_supervised_alone(npz: Path, tmp_path: Path) -> None:
    train(config(npz, joint=False), tmp_path / "run")
    entries = read_metrics(tmp_path / "run" / "metrics.jsonl")
    assert entries[-1]["phase"] == "supervised" and "reconstruction" not in entries[-1]


def test_denormals_are_flushed_in_a_run_and_left_as_they_were(npz: Path, tmp_path: Path) -> None:
    seen = []

    def look(description: str) -> None:
        seen.append(float(torch.tensor([1e-40]) * 1.0))

    train(config(npz), tmp_path / "run", on_advance=look)
    assert set(seen) == {0.0}
    assert float(torch.tensor([1e-40]) * 1.0) > 0


def test_denormals_are_left_alone_where_asked(
    npz: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BACKCAST_PROCESS", "as-is")
    seen = []
    train(
        config(npz), tmp_path / "run", on_advance=lambda text: seen.append(float(torch.tensor([1e-40]) * 1.0))
    )
    assert min(seen) > 0


def test_a_process_of_ones_own_is_prepared(monkeypatch: pytest.MonkeyPatch) -> None:
    code = "from backcast import process; process.prepare(); import os, torch; print(float(torch.tensor([1e-40]) * 1.0), os.environ.get('THP_MEM_ALLOC_ENABLE'))"
    for setting, wanted in (("", "0.0 1"), ("as-is", "None")):
        environment = {**os.environ, "BACKCAST_PROCESS": setting}
        environment.pop("THP_MEM_ALLOC_ENABLE", None)
        found = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
        )
        assert found.stdout.strip().endswith(wanted)


def test_the_environment_says_what_ran(npz: Path, tmp_path: Path) -> None:
    train(config(npz), tmp_path / "run")
    found = json.loads((tmp_path / "run" / "environment.json").read_text())
    assert found["torch"] == torch.__version__ and found["rows"] == {
        "train": 54,
        "labelled": 54,
        "test": 0,
        "validation": 6,
    }


def test_a_full_disk_at_the_very_last_weights_is_made_good_by_resume(
    npz: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import backcast.run as module

    settings = config(npz)
    train(settings, tmp_path / "whole")
    # weights are written after each of five epochs: those of the last
    fill_disk(monkeypatch, module, lambda calls: [call.suffix for call in calls].count(".safetensors") == 5)
    with pytest.raises(RunError):
        train(settings, tmp_path / "run")
    monkeypatch.undo()
    train(settings, tmp_path / "run", resume=True)
    assert_same_run(tmp_path / "whole", tmp_path / "run")


def test_where_every_checkpoint_is_damaged_nothing_is_thrown_away(npz: Path, tmp_path: Path) -> None:
    train(config(npz), tmp_path / "run")
    before = weights(tmp_path / "run")
    for file in (tmp_path / "run" / "checkpoints").iterdir():
        file.write_bytes(b"damaged")
    with pytest.raises(InputError, match="--overwrite to start over"):
        train(config(npz), tmp_path / "run", resume=True)
    assert all(torch.equal(value, weights(tmp_path / "run")[name]) for name, value in before.items())


def test_a_run_that_another_process_made_meanwhile_is_not_touched(
    npz: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, out = config(npz, epochs=1), tmp_path / "run"

    def slowly(*arguments: Any) -> Any:
        monkeypatch.undo()
        train(mine, out)
        return prepare(*arguments)

    monkeypatch.setattr("backcast.run.prepare", slowly)
    with pytest.raises(InputError, match="there is a run in it already"):
        train(replace(mine, seed=1), out)
    assert read_config(out).seed == 0 and load_model(out)


def test_the_lock_of_a_folder_is_never_taken_away_from_another_process(tmp_path: Path) -> None:
    with locked(tmp_path):
        file = (tmp_path / ".lock").stat().st_ino
    assert (
        tmp_path / ".lock"
    ).stat().st_ino == file  # one that waits for this file holds the one that others ask for


def test_a_run_that_was_being_replaced_can_be_replaced(npz: Path, tmp_path: Path) -> None:
    mine, out = config(npz, epochs=1), tmp_path / "run"
    train(mine, out)

    def killed(path: Path) -> None:
        if path.name == "model":
            raise Killed
        plain(path)

    plain = run_module._remove
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_module, "_remove", killed)
        with pytest.raises(Killed):
            train(mine, out, overwrite=True)
    assert not (out / "config.yaml").exists()
    train(mine, out)
    train(mine, tmp_path / "fresh")
    assert_same_run(out, tmp_path / "fresh")


def test_classes_of_other_names_are_not_gone_on_with(npz: Path, tmp_path: Path) -> None:
    arrays = dict(np.load(npz))
    mine, out = config(npz, epochs=1), tmp_path / "run"
    train(mine, out)
    renamed = np.array([f"class {name}" for name in arrays["y"]])
    np.savez(tmp_path / "renamed.npz", **{**arrays, "y": renamed})
    with pytest.raises(InputError, match=r"the classes of .* are not those"):
        train(replace(mine, data=str(tmp_path / "renamed.npz")), out, resume=True)


def test_files_that_are_no_runs_are_never_deleted(npz: Path, tmp_path: Path) -> None:
    (tmp_path / "project" / "model").mkdir(parents=True)
    (tmp_path / "project" / "model" / "precious.txt").write_text("mine")
    (tmp_path / "project" / "config.yaml").write_text("a: 1")
    for overwrite in (False, True):
        with pytest.raises(InputError, match="is no run's"):
            train(config(npz), tmp_path / "project", overwrite=overwrite)
    assert (tmp_path / "project" / "model" / "precious.txt").read_text() == "mine"


def test_unlabelled_rows_are_all_used_and_their_labels_never_read(npz: Path, tmp_path: Path) -> None:
    x = np.load(npz)["x"]
    np.savez(tmp_path / "more.npz", x=x, y=np.full(60, np.nan))
    prepared = prepare(config(npz, unlabeled=str(tmp_path / "more.npz"), limit=20))
    assert len(prepared.train) + len(prepared.validation or []) == 20 + 60
    with pytest.raises(InputError, match="lstm has not"):
        config(npz, method="lstm", unlabeled=str(tmp_path / "more.npz"))


def test_rows_may_come_from_arrays(npz: Path, tmp_path: Path) -> None:
    from backcast import from_arrays

    arrays = np.load(npz)
    rows = from_arrays(arrays["x"], arrays["y"], arrays["lengths"], arrays["ids"])
    train(config(npz), tmp_path / "file")
    train(resolve([SMALL]), tmp_path / "arrays", rows=rows)
    assert_same_run(tmp_path / "file", tmp_path / "arrays")


@pytest.mark.parametrize("method", ["rp-lstm", "sa-lstm"])
def test_phase_1_of_another_run_gives_the_same_bits(npz: Path, tmp_path: Path, method: str) -> None:
    whole = config(npz, method=method, validation=0)
    alone = whole.pretraining()
    assert alone is not None
    train(alone, tmp_path / "phase-1")
    train(whole, tmp_path / "whole")
    train(whole, tmp_path / "from", pretrained=tmp_path / "phase-1")
    for name, value in weights(tmp_path / "whole").items():
        assert torch.equal(value, weights(tmp_path / "from")[name]), name
    ends = [read_metrics(tmp_path / run / "metrics.jsonl")[-1] for run in ("whole", "from")]
    assert ends[0] | {"seconds": 0} == ends[1] | {"seconds": 0}


def test_phase_1_is_shared_by_runs_that_differ_behind_it_and_by_no_other(npz: Path, tmp_path: Path) -> None:
    whole = config(npz, validation=0)
    assert whole.pretraining() == config(npz, validation=0, truncation=0, joint=False, epochs=1).pretraining()
    assert whole.pretraining() != config(npz, validation=0, anchors=1).pretraining()
    assert (
        config(npz, method="lm-lstm").pretraining()
        != config(npz, method="lm-lstm", truncation=2).pretraining()
    )
    assert config(npz, method="lstm").pretraining() is None
    train(config(npz, validation=0, anchors=1, epochs=0), tmp_path / "phase-1")
    with pytest.raises(InputError, match="--anchors"):
        train(whole, tmp_path / "run", pretrained=tmp_path / "phase-1")
    with pytest.raises(InputError, match="held out"):
        train(config(npz, anchors=1), tmp_path / "run", pretrained=tmp_path / "phase-1")
    both = config(npz, validation=0, anchors=1, from_run=str(tmp_path / "phase-1"))
    with pytest.raises(InputError, match="say one"):
        train(both, tmp_path / "run", pretrained=tmp_path / "phase-1")


def test_phase_1_of_other_rows_is_refused(npz: Path, tmp_path: Path) -> None:
    from backcast import from_arrays

    whole = config(npz, validation=0)
    alone = whole.pretraining()
    assert alone is not None
    train(alone, tmp_path / "phase-1")
    others = from_arrays(np.random.default_rng(5).normal(3, 2, (12, 12)), np.arange(12) % 2)
    with pytest.raises(InputError, match="other rows"):
        train(whole, tmp_path / "run", rows=others, pretrained=tmp_path / "phase-1")


def test_what_is_measured_besides_stands_in_the_metrics_and_decides_nothing(
    npz: Path, tmp_path: Path
) -> None:
    train(config(npz), tmp_path / "plain")
    train(config(npz), tmp_path / "watched", measure=lambda model, epoch: {"test_accuracy": epoch / 4})
    for name, value in weights(tmp_path / "plain").items():
        assert torch.equal(value, weights(tmp_path / "watched")[name]), name
    entries = read_metrics(tmp_path / "watched" / "metrics.jsonl")
    assert [entry.get("test_accuracy") for entry in entries] == [None, None, 0.25, 0.5, 0.75]
