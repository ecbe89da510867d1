"""Exported models: the same answers in another runtime, a piece at a time; folders for the Hub."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from backcast.build import RECURRENT
from backcast.cli import main
from backcast.data.preprocessing import Preprocessing
from backcast.errors import InputError, RunError
from backcast.export import export
from backcast.nn.plain import PlainModel
from backcast.streaming import StreamSession
from test_stream_command import save_model
from test_streaming import BYTES, LETTERS, NUMBERS, REAL, make, values

FAR = Preprocessing("real", 1, (1e6,), (0.1,))  # a small spread about a large mean


def names_of(method: str) -> list[str]:
    return {"lstm": ["h", "c"], "urnn": ["real", "imaginary"]}.get(method, ["h"])


@pytest.mark.parametrize("method", RECURRENT)
def test_the_plain_network_is_the_network(method: str) -> None:
    """Step by step, as torch.export has it, without exporting."""
    for preprocessing in (REAL, NUMBERS):
        model, x = make(preprocessing, method), torch.from_numpy(values(2, 1)).float()
        if preprocessing is NUMBERS:
            x = torch.tensor([[1], [3]])
        mean, std = (
            torch.tensor(part, dtype=torch.float64) for part in (preprocessing.mean, preprocessing.std)
        )
        plain = PlainModel(model.network, mean, std)
        elements = model.network.encoder.embedding(
            x if preprocessing is NUMBERS else torch.from_numpy(preprocessing.standardise(x.numpy()))
        )
        state = model.network.encoder.zero_state(2)
        with torch.no_grad():
            if method == "urnn":
                after = plain.layer.step(state, elements[:, 0] @ plain.layer.input_map.T)
            else:
                after = plain.layer.step(state, elements[:, 0] @ plain.layer.weight.T + plain.layer.bias_ih)
            _, expected = model.network.encoder(
                x if preprocessing is NUMBERS else torch.from_numpy(preprocessing.standardise(x.numpy())),
                state,
            )
        for one, other in zip(after, expected, strict=True):
            torch.testing.assert_close(one, other, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("method", "preprocessing"),
    [*((method, REAL) for method in RECURRENT), ("lstm", LETTERS), ("urnn", BYTES), ("gru", FAR)],
    ids=lambda one: one if isinstance(one, str) else one.kind,
)
def test_onnx_streams_in_onnxruntime(method: str, preprocessing: Preprocessing, tmp_path: Path) -> None:
    onnxruntime, onnx = pytest.importorskip("onnxruntime"), pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    run, path = save_model(tmp_path / "model", preprocessing, method), tmp_path / "m.onnx"
    assert main(["export", str(run), str(path)]) == 0
    session, names = onnxruntime.InferenceSession(path), names_of(method)
    assert [one.name for one in session.get_inputs()] == ["x", *names]
    assert [one.name for one in session.get_outputs()] == ["logits", *(f"{name}_out" for name in names)]
    assert session.get_inputs()[0].shape[:2] == ["batch", "time"]
    operators = {node.op_type for node in onnx.load(path).graph.node}
    assert {"lstm": "LSTM", "gru": "GRU", "irnn": "RNN", "urnn": "Scan"}[method] in operators
    known = {name: json.loads(value) for name, value in session.get_modelmeta().custom_metadata_map.items()}
    assert known["classes"] == ["no", "yes", "perhaps"] and known["kind"] == preprocessing.kind
    state = [np.array([known["initial_state"][name]] * 5, np.float32) for name in names]
    mine = StreamSession(make(preprocessing, method), 5)
    generator = np.random.default_rng(3)
    for steps in (1, 6, 2):
        if preprocessing.symbols:
            x = generator.integers(0, known["unknown"] + 1, (5, steps))
            symbols = [*known["vocabulary"], "?" if preprocessing is LETTERS else 0]
            expected = mine.push([[symbols[number] for number in row] for row in x])
        else:
            x = generator.normal(size=(5, steps, preprocessing.channels))
            x = (x * preprocessing.std + preprocessing.mean).astype(np.float32)
            expected = mine.push(x)
        logits, *state = session.run(None, dict(zip(["x", *names], [x, *state], strict=True)))
        np.testing.assert_allclose(torch.from_numpy(logits).softmax(1).numpy(), expected, atol=1e-4)
        np.testing.assert_allclose(logits, mine.logits().numpy(), atol=1e-4)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's own, of its import of its compiler
@pytest.mark.parametrize("method", ["lstm", "urnn"])
def test_a_program_of_torch_export_streams(method: str, tmp_path: Path) -> None:
    model, path = make(method=method), tmp_path / "m.pt2"
    said: list[str] = []
    export(model, path, say=said.append)
    assert "checked on random pieces by torch.export" in said[0]
    files = {"metadata.json": ""}
    program = torch.export.load(io.BytesIO(path.read_bytes()), extra_files=files).module()
    assert json.loads(json.loads(files["metadata.json"])["classes"]) == ["no", "yes", "perhaps"]
    x, state = values(4, 9), model.network.encoder.zero_state(4)
    for piece in (x[:, :1], x[:, 1:]):
        logits, *state = program(torch.from_numpy(piece).float(), *state)
    np.testing.assert_allclose(logits.softmax(1).detach().numpy(), StreamSession(model, 4).push(x), atol=1e-5)


def test_what_cannot_be_exported_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="attends to whole rows"):
        export(make(method="transformer"), tmp_path / "m.onnx")
    with pytest.raises(InputError, match=r"must be \.onnx or \.pt2"):
        export(make(), tmp_path / "m.onxx")
    with pytest.raises(InputError, match="there is no folder"):
        export(make(), tmp_path / "no" / "m.onnx")
    with pytest.raises(InputError, match=r"--opset 7: must lie in 18 \.\. 23"):
        export(make(), tmp_path / "m.onnx", opset=7)
    monkeypatch.setattr("backcast.export.find_spec", lambda name: None)
    with pytest.raises(
        InputError, match=r"onnx and onnxscript must be installed: pip install 'backcast\[onnx\]'"
    ):
        export(make(), tmp_path / "m.onnx")
    monkeypatch.setattr("backcast.export.TOLERANCE", 0.0)
    with pytest.raises(RunError, match="differs from the original"):
        export(make(), tmp_path / "m.pt2")
    assert not list(tmp_path.iterdir())


def test_an_old_opset_and_no_runtime_to_check_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    monkeypatch.setattr("backcast.export.find_spec", lambda name: None if name == "onnxruntime" else name)
    said: list[str] = []
    export(make(), tmp_path / "m.onnx", opset=18, say=said.append)
    assert "not checked: onnxruntime is not installed" in said[0]
    assert onnx.load(tmp_path / "m.onnx").opset_import[0].version == 18
