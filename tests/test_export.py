"""Exported models: the same answers in another runtime, a piece at a time; folders for the Hub."""

from __future__ import annotations

import io
import json
import re
import shutil
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

import backcast
from backcast.build import RECURRENT, TrainedModel, load_model
from backcast.cli import main
from backcast.config import Config
from backcast.data.preprocessing import Preprocessing
from backcast.errors import InputError, RunError
from backcast.export import export
from backcast.nn.lstm import EmbeddedLSTM
from backcast.nn.model import Model
from backcast.nn.plain import PlainModel
from backcast.streaming import StreamSession, fingerprint
from test_cli import QUICK
from test_report_runs import write_splits
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


def own_parts(encoder: torch.nn.Module) -> TrainedModel:
    """A model as docs/notebooks/remembering.md makes one: with parts that `config` does not describe."""
    network = Model(encoder, torch.nn.Linear(6, 3)).eval()
    plain = Preprocessing("real", 2, (3.0, -50.0), (2.0, 10.0))
    return TrainedModel(network, plain, ("no", "yes", "perhaps"), Config(), None, torch.device("cpu"))


@pytest.mark.parametrize("ending", ["onnx", "pt2"])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_network_of_own_parts_is_exported_if_exporters_know_its_layer(ending: str, tmp_path: Path) -> None:
    if ending == "onnx":
        pytest.importorskip("onnxruntime"), pytest.importorskip("onnxscript")
    said: list[str] = []
    lstm = torch.nn.LSTM(2, 6, batch_first=True)
    export(own_parts(EmbeddedLSTM.around(lstm)), tmp_path / f"m.{ending}", say=said.append)
    assert "checked on random pieces" in said[0]

    class Other(torch.nn.Module):
        output_size = 6

        def zero_state(self, rows: int) -> tuple[torch.Tensor, ...]:
            return (torch.zeros(rows, 6),)

    with pytest.raises(
        InputError, match="a Other cannot be exported; the networks of lstm, gru, irnn, urnn can"
    ):
        export(own_parts(Other()), tmp_path / f"other.{ending}")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_classifier_that_torch_cannot_trace_is_refused_in_one_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    class Chooses(torch.nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x) if float(x.sum()) > 0 else x[:, :3]

    own = own_parts(EmbeddedLSTM.around(torch.nn.LSTM(2, 6, batch_first=True)))
    own.network.classifier = Chooses(6, 3)
    for ending in ("onnx", "pt2"):
        if ending == "onnx" and find_spec("onnxscript") is None:
            continue
        with pytest.raises(
            InputError, match=r"cannot trace the classifier, a Chooses \(.*data-dependent"
        ) as refused:
            export(own, tmp_path / f"m.{ending}")
        assert len(str(refused.value)) < 500
    assert not list(tmp_path.iterdir()) and capfd.readouterr().err == ""


def test_a_folder_that_load_model_could_not_read_is_not_written(tmp_path: Path) -> None:
    own = own_parts(EmbeddedLSTM.around(torch.nn.LSTM(2, 6, batch_first=True)))
    with pytest.raises(
        InputError,
        match=r"load_model could not read it: its classifier\.bias is \(3,\), the config's is missing",
    ):
        own.save_pretrained(tmp_path / "own")
    wider = replace(make(), config=replace(make().config, hidden_size=7))
    with pytest.raises(
        InputError, match=r"classifier\.first\.weight is \(256, 6\), the config's is \(256, 7\)"
    ):
        wider.save_pretrained(tmp_path / "wider")
    fewer = replace(make(), classes=("no", "yes"))
    with pytest.raises(InputError, match=r"classifier\.last\.bias is \(3,\), the config's is \(2,\)"):
        fewer.save_pretrained(tmp_path / "fewer")
    assert not list(tmp_path.iterdir())
    make(method="rp-lstm").save_pretrained(tmp_path / "described")
    assert torch.equal(fingerprint(load_model(tmp_path / "described")), fingerprint(make(method="rp-lstm")))


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


def test_a_difference_that_is_no_number_fails_the_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        rows = len(inputs["x"])
        return [np.full((rows, size), np.nan, np.float32) for size in (3, 6, 6)]

    monkeypatch.setattr("backcast.export._program", lambda model: (b"", run, ""))
    with pytest.raises(RunError, match=r"differs from the original by nan.*try the other format"):
        export(make(), tmp_path / "m.pt2")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("mean", "std"), [(0.0, 1e-47), (0.0, 1e39), (3e38, 1e38)])
def test_channels_beyond_32_bits_are_refused(mean: float, std: float, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"channel 1 has the mean .* beyond the 32 bits"):
        export(make(replace(REAL, mean=(0.0, mean), std=(1.0, std))), tmp_path / "m.onnx")


def test_an_old_opset_and_no_runtime_to_check_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    monkeypatch.setattr("backcast.export.find_spec", lambda name: None if name == "onnxruntime" else name)
    said: list[str] = []
    export(make(), tmp_path / "m.onnx", opset=18, say=said.append)
    assert "not checked: onnxruntime is not installed" in said[0]
    assert onnx.load(tmp_path / "m.onnx").opset_import[0].version == 18


@pytest.fixture
def trained(npz: Path, tmp_path: Path) -> Path:
    assert main(["train", str(npz), *QUICK, "--out", str(tmp_path / "run")]) == 0
    return tmp_path / "run"


def test_a_folder_for_the_hub_is_a_model_with_a_card(trained: Path, npz: Path, tmp_path: Path) -> None:
    result, target = tmp_path / "e.json", tmp_path / "mine"
    assert main(["evaluate", str(trained), str(npz), "--json", str(result)]) == 0
    words = ["export", str(trained), str(target), "--license", "mit", "--evaluation", str(result)]
    assert main(words) == 0
    assert sorted(path.name for path in target.iterdir()) == [
        "README.md",
        "config.json",
        "model.safetensors",
    ]
    card = (target / "README.md").read_text()
    head = yaml.safe_load(card.split("---")[1])
    accuracy = json.loads(result.read_text())["accuracy"]
    assert head["license"] == "mit" and head["library_name"] == "backcast"
    assert head["model-index"][0]["results"][0]["metrics"][0]["value"] == round(accuracy, 4)
    for part in (
        f"{accuracy:.4f} (95 % of",
        "60 rows",
        "`--hidden-size` | 6",
        "ICML 2018",
        "load_model",
        "0, 1",
    ):
        assert part in card, part
    assert str(tmp_path) not in (target / "config.json").read_text() + card
    assert head["model-index"][0]["results"][0]["dataset"]["name"] == "mine.npz"
    rows = backcast.load(npz).train
    model = load_model(target)
    np.testing.assert_array_equal(model.predict_proba(rows), load_model(trained).predict_proba(rows))
    assert torch.equal(fingerprint(model), fingerprint(load_model(trained)))  # a state fits both
    load_model(trained).save_pretrained(tmp_path / "plain")
    card = (tmp_path / "plain" / "README.md").read_text()
    assert "which chose the epoch" in card and "not stated" in card
    of_hub = replace(model, config=replace(model.config, data="hf:owner/name:one"))
    of_hub.save_pretrained(tmp_path / "hub")
    assert load_model(tmp_path / "hub").config.data == "hf:owner/name:one"
    assert "hf:owner/name:one" in (tmp_path / "hub" / "README.md").read_text()
    model.save_pretrained(tmp_path / "again")
    assert "not measured" in (tmp_path / "again" / "README.md").read_text()
    assert "A classifier of whole sequences (lstm)" in card and "it reads real vectors of 2 channels" in card


def test_a_card_counts_only_the_validation_rows_that_have_a_label(tmp_path: Path) -> None:
    labels = [*"abab", *[None] * 30]
    data = write_splits(tmp_path / "data", train=[*"ab"] * 9, validation=labels)
    assert main(["train", str(data), *QUICK, "--out", str(tmp_path / "run")]) == 0
    load_model(tmp_path / "run").save_pretrained(tmp_path / "card")
    assert "; 4 rows, validation rows, which chose the epoch" in (tmp_path / "card" / "README.md").read_text()


def test_names_of_classes_keep_to_their_line_of_the_card(trained: Path, tmp_path: Path) -> None:
    model = load_model(trained)
    names = ("<b>one", "two\n\n# lines", *map(str, range(len(model.classes))))[: len(model.classes)]
    replace(model, classes=names).save_pretrained(tmp_path / "card")
    assert "- **Classes**: &lt;b&gt;one, two # lines" in (tmp_path / "card" / "README.md").read_text()


def test_the_card_of_a_run_that_was_only_pretrained_claims_no_classes(npz: Path, tmp_path: Path) -> None:
    pretrain = [*QUICK, "--method", "r-lstm", "--epochs", "0", "--pretrain-epochs", "1"]
    assert main(["train", str(npz), *pretrain, "--out", str(tmp_path / "run")]) == 0
    card = tmp_path / "card"
    load_model(tmp_path / "run").save_pretrained(card)
    text = (card / "README.md").read_text()
    assert "A pretrained network (lstm), which knows no classes yet, trained with backcast" in text
    assert not re.search(
        "classifier of|lassification|\\*\\*(Classes|Accuracy)|predict_proba", text.partition("## Settings")[0]
    )
    (command,) = re.findall("backcast train DATA --from THIS_FOLDER", text)
    words = command.replace("DATA", str(npz)).replace("THIS_FOLDER", str(card)).split()[1:]
    assert main([*words, *QUICK, "--method", "r-lstm", "--out", str(tmp_path / "tuned")]) == 0


def test_folders_that_cannot_be_written_are_refused(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    (tmp_path / "no.json").write_text("{}")
    wrong = {
        "there is something in its place": ["full"],
        "is not what `backcast evaluate --json` writes": ["new", "--evaluation", str(tmp_path / "no.json")],
        "--license goes with a folder": ["m.onnx", "--license", "mit"],
        "--opset goes with an .onnx file; ": ["new", "--opset", "20"],
        "--opset goes with an .onnx file, not with": ["m.pt2", "--opset", "20"],
    }
    for message, (target, *options) in wrong.items():
        assert main(["export", str(trained), str(tmp_path / target), *options]) == 2
        assert message in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_the_hub(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, object] = {}

    class Api:
        def create_repo(self, name: str, **options: object) -> None:
            asked["repo"] = (name, options)

        def upload_folder(self, repo_id: str, folder_path: str) -> str:
            shutil.copytree(folder_path, tmp_path / "hub" / repo_id)
            return f"commit of {repo_id}"

    monkeypatch.setattr("huggingface_hub.HfApi", Api)
    monkeypatch.setattr(
        "huggingface_hub.snapshot_download", lambda name, **options: str(tmp_path / "hub" / name)
    )
    assert load_model(trained).push_to_hub("me/mine", private=True) == "commit of me/mine"
    assert asked["repo"] == ("me/mine", {"private": True, "exist_ok": True})
    model = TrainedModel.from_pretrained("hf:me/mine")
    assert model.classes == (0, 1)
    with pytest.raises(InputError, match="a model of the Hub is called owner/name"):
        model.push_to_hub("mine")
    with pytest.raises(InputError, match="there is no trained model in it"):
        load_model("hf:me/other")

    def fails(*given: object, **options: object) -> None:
        raise ConnectionError("no\nnetwork")

    monkeypatch.setattr("huggingface_hub.snapshot_download", fails)
    with pytest.raises(InputError, match="hf:me/mine: cannot be fetched from the Hugging Face Hub: no"):
        load_model("hf:me/mine")
