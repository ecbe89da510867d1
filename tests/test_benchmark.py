"""`backcast benchmark` at toy size: what it prints, what it keeps, how it goes on and how it refuses."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path
from typing import Any

import pytest

from backcast.benchmark import command as commanding
from backcast.benchmark import measure as measuring
from backcast.benchmark import paper, segments
from backcast.benchmark.machine import describe_machine, load
from backcast.benchmark.measure import Limits, measure
from backcast.benchmark.plan import Contender, Outcome, single
from backcast.benchmark.step import method, plain
from backcast.benchmark.store import Store
from backcast.benchmark.table import significant
from backcast.benchmark.transformer_size import lstm_parameters, transformer_parameters, width_like
from backcast.benchmark.worker import Bench, Failed, Unfit
from backcast.cli import main
from backcast.errors import InputError
from backcast.locks import held
from test_cli import refuse

ROOT = Path(__file__).parent.parent
SHAPE = {"length": 12, "batch": 2, "hidden": 4, "channels": 3}
TOY = {
    "step": ["--threads", "1", "--lengths", "12", "20", "--batch", "2", "--hidden", "4", "--only", "nn.LSTM, full BPTT", "r-lstm 20x30"],
    "recurrence": ["--inputs", "3", "--hidden", "4", "--batch", "2", "--lengths", "70"],
    "memory": ["--lengths", "12", "--batch", "2", "--hidden", "4"],
    "stream": ["--hidden", "4", "--seconds", "0.001"],
    "data": ["--rows", "6", "--length", "12", "--batch", "3", "--hidden", "4", "--ragged-rows", "4", "--ragged-length", "20", "--long-length", "30"],
}  # fmt: skip


def bench(name: str, *more: str) -> list[str]:
    rounds = [] if name == "memory" else ["--rounds", "1"]
    return ["benchmark", name, *TOY[name], *rounds, *more]


class WorkerHere:
    """Answers as a worker does, in this process, for those tests that need not wait for processes."""

    def __init__(self, contender: Contender | None, threads: int | None, *bytes: float) -> None:
        self.bench = None if contender is None else Bench(contender)

    def ask(self, what: str | None = None) -> Any:
        if what is None or self.bench is None:
            return what and describe_machine()
        return self.bench.first() if what == "first" else self.bench.round()

    def close(self) -> None:
        pass


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the JSON file of every benchmark; `step` with processes as its user has it."""
    folder = tmp_path_factory.mktemp("performance")
    for name in TOY:
        with pytest.MonkeyPatch.context() as patch:
            if name != "step":
                patch.setattr(measuring, "Worker", WorkerHere)
                patch.setattr(commanding, "Worker", WorkerHere)
            assert main(bench(name, "--json", str(folder / f"{name}.json"))) == 0
    return folder


@pytest.mark.parametrize("name", TOY)
def test_the_file_says_what_was_measured_and_on_what(files: Path, name: str) -> None:
    found = json.loads((files / f"{name}.json").read_text())
    assert found["benchmark"] == name
    assert [run["command"][:1] for run in found["runs"]] == [["backcast"]] and found["runs"][0]["load"] >= 0
    assert set(found["machine"]) == {
        "processor", "cores", "threads", "memory", "torch", "kernel", "python", "date"
    }  # fmt: skip
    measured = "resident_bytes" if name == "memory" else "seconds"
    assert found["rows"] and all(row["fits"] and row[measured] > 0 for row in found["rows"])
    assert all(row["rounds"] == int(name != "memory") for row in found["rows"])


def test_each_benchmark_fills_its_own_columns(files: Path) -> None:
    rows = {name: json.loads((files / f"{name}.json").read_text())["rows"] for name in TOY}
    assert [(row["contender"], row["length"]) for row in rows["step"]] == [
        ("nn.LSTM, full BPTT", 12), ("r-lstm 20×30", 12), ("nn.LSTM, full BPTT", 20), ("r-lstm 20×30", 20)
    ]  # fmt: skip
    assert all(row["kept_bytes"] > 0 for row in rows["step"] + rows["memory"])
    assert [row["what"] for row in rows["recurrence"]] == ["sweep", "sweep in bf16", "forward + backward"]
    for row in rows["recurrence"]:
        assert row["times_as_fast"] == pytest.approx(row["rival_seconds"] / row["seconds"])
        assert 0 < row["peak_fraction"] < 1 and row["peak_gflops"] > 0
    operations = 2 * 4 * 4 * (4 + 3) * 2 * 70
    sweep, _, train = rows["recurrence"]
    assert sweep["gflops"] * sweep["seconds"] == pytest.approx(operations / 1e9)
    backward = operations + 2 * 4 * 4 * 4 * 2 * 70  # of the weights, of the states; the input needs none
    assert train["gflops"] * train["seconds"] == pytest.approx((operations + backward) / 1e9)
    assert len(rows["stream"]) == 12 and {row["batch"] for row in rows["stream"]} == {1, 1024}
    assert all(0 < row["waiting"] < 1 for row in rows["data"]) and len(rows["data"]) == 3


def test_rows_that_are_there_are_not_measured_again(
    files: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def never(*arguments: Any) -> None:
        raise AssertionError("measured again")

    monkeypatch.setattr("backcast.benchmark.command.measure", never)
    before = json.loads((files / "step.json").read_text())
    assert main(bench("step", "--json", str(files / "step.json"))) == 0
    assert json.loads((files / "step.json").read_text())["rows"] == before["rows"]
    assert len([line for line in capsys.readouterr().out.splitlines() if "| r-lstm 20×30 |" in line]) == 2


def test_a_row_from_fewer_rounds_and_a_failed_one_are_measured_again(tmp_path: Path) -> None:
    store = Store(tmp_path / "f.json", "step", {})
    store.put({"contender": "a"}, {"contender": "a", "rounds": 2, "fits": True})
    store.put({"contender": "b"}, {"contender": "b", "rounds": 0, "fits": False, "reason": "too large"})
    store.put({"contender": "c"}, {"contender": "c", "rounds": 2, "fits": True, "error": "a bug"})
    again = Store(tmp_path / "f.json", "step", {})
    assert [again.is_done({"contender": name}, 2) for name in "abcd"] == [True, True, False, False]
    assert not again.is_done({"contender": "a"}, 3)
    again.put({"contender": "a"}, {"contender": "a", "rounds": 3, "fits": True})
    assert again.is_done({"contender": "a"}, 3) and len(again.rows) == 3


def test_the_file_names_every_command_that_measured_a_row_of_it(tmp_path: Path) -> None:
    for name in "ab":
        store = Store(tmp_path / "f.json", "step", {"command": [name], "load": 0.1})
        for row in (name, f"{name}, too"):
            store.put({"contender": row}, {"contender": row, "rounds": 2, "fits": True})
    Store(tmp_path / "f.json", "step", {"command": ["nothing new"], "load": 0.1})
    runs = json.loads((tmp_path / "f.json").read_text())["runs"]
    assert [run["command"] for run in runs] == [["a"], ["b"]]


def test_two_at_once_on_one_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with held(tmp_path / ".f.json.lock", "a test"):
        assert "another process is at work" in refuse(
            bench("step", "--json", str(tmp_path / "f.json")), capsys
        )
    assert not (tmp_path / "f.json").exists()


def test_rows_of_another_machine_are_not_mixed_in(tmp_path: Path) -> None:
    machine = {"processor": "P", "cores": 2, "threads": 2, "torch": "2", "kernel": "off"}
    store = Store(tmp_path / "f.json", "step", {})
    store.set_machine(machine)
    store.set_machine({**machine, "threads": 1})  # no row yet
    store.put({"contender": "a"}, {"contender": "a", "rounds": 2, "fits": True})
    before = (tmp_path / "f.json").read_bytes()
    with pytest.raises(InputError, match="threads 1"):
        store.set_machine(machine)
    with pytest.raises(InputError, match="threads 1"):
        Store(tmp_path / "f.json", "step", {"command": ["another"]}).set_machine(machine)
    assert (tmp_path / "f.json").read_bytes() == before


def test_a_system_that_knows_no_load(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("os.getloadavg")
    assert load() is None


class FakeWorker:
    """Says what it was asked, and breaks where its name says so."""

    asked: list[tuple[str, str | None]]

    def __init__(self, contender: Contender, threads: int | None, *bytes: float) -> None:
        self.name = contender.name

    def ask(self, what: str | None = None) -> Any:
        self.asked.append((self.name, what))
        if self.name == "broken" and what == "first":
            raise Failed("a bug")
        if self.name == "large" and what == "round":
            raise Unfit("too large")
        return {"seconds": float(len(self.asked))} if what == "round" else {}

    def close(self) -> None:
        pass


def test_contenders_take_turns_and_go_on_without_those_that_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    FakeWorker.asked = []
    monkeypatch.setattr(measuring, "Worker", FakeWorker)
    names = ["a", "large", "broken", "b", "huge"]
    contenders = [Contender(name, "plain", {}, needs=1e9 if name == "huge" else 0.0) for name in names]
    kept: list[dict[str, Outcome]] = []
    measure(contenders, 2, Limits(None, 1e6), lambda name: None, lambda done, found: kept.append(found))
    asked = [(name, what) for name, what in FakeWorker.asked if what is not None]
    assert asked == [
        ("a", "first"), ("large", "first"), ("broken", "first"), ("b", "first"),
        ("a", "round"), ("large", "round"), ("b", "round"), ("a", "round"), ("b", "round"),
    ]  # fmt: skip
    assert len(kept) == 2 and [len(kept[-1][name].found) for name in names] == [2, 0, 0, 2, 0]
    assert kept[-1]["broken"].error == "a bug" and "limit" in (kept[-1]["huge"].unfit or "")
    rows = {each.name: single({"contender": each.name}, each).record(kept[-1], 2) for each in contenders}
    assert rows["a"]["seconds_min"] < rows["a"]["seconds"] < rows["a"]["seconds_max"]
    assert rows["large"] == {"contender": "large", "rounds": 2, "fits": False, "reason": "too large"}


def test_a_contender_outgrows_its_limit_or_breaks_and_the_next_one_is_measured() -> None:
    found: dict[str, Outcome] = {}
    contenders = [
        Contender("large", "plain", {**SHAPE, "truncation": None}),
        Contender("broken", "method", {**SHAPE, "config": {"method": "no such"}}),
        method("good", SHAPE, {"truncation": 5, "segment_length": 4}, kernel="off"),
    ]
    measure(contenders[:1], 1, Limits(1, 1e7), lambda name: None, lambda done, all: found.update(all))
    measure(contenders[1:], 1, Limits(1, 1e12), lambda name: None, lambda done, all: found.update(all))
    assert "more than the limit" in (found["large"].unfit or "")
    assert "no such" in (found["broken"].error or "") and len(found["good"].found) == 1


def test_a_worker_that_gave_its_memory_back_warms_up_before_it_is_timed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    contender = Contender("a", "plain", {**SHAPE, "truncation": None})
    for idle_bytes, runs in ((float("inf"), 1), (0.0, 2)):
        bench = Bench(contender, idle_bytes)
        bench.first()
        calls: list[int] = []
        plain_run = bench._work.run
        monkeypatch.setattr(bench._work, "run", lambda run=plain_run, calls=calls: calls.append(1) or run())
        assert bench.round()["seconds"] > 0 and len(calls) == runs


@pytest.mark.parametrize(
    "arguments",
    [
        ["step", "--lengths", "0"],
        ["step", "--lengths", "16", "none"],
        ["step", "--rounds", "0"],
        ["step", "--only", "r-lstn 20x30"],
        ["step", "--paper", "--segments"],
        ["step", "--segments", "--only", "r-lstm 20×30"],
        ["stream", "--seconds", "0"],
        ["memory", "--memory-limit", "nan"],
        ["memory", "--rounds", "3"],
        ["recurrense"],
        [],
    ],
    ids=" ".join,
)
def test_options_that_do_not_fit_are_refused(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    refuse(["benchmark", *arguments], capsys)


def test_a_kernel_that_is_not_there_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BACKCAST_KERNEL", "avx1024")
    assert "avx1024" in refuse(bench("step"), capsys)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        '{"benchmark": "step", "machine": {}, "rows": [1]}',
        '{"benchmark": "data", "machine": {}, "rows": []}',
        "\xff\xfe",
    ],
)
def test_a_file_that_is_something_else_is_refused_and_kept(
    tmp_path: Path, content: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "mine.json"
    path.write_text(content, encoding="latin-1")
    assert "mine.json" in refuse(bench("step", "--json", str(path)), capsys)
    assert path.read_text(encoding="latin-1") == content


def test_a_file_that_cannot_be_written_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "none" / "f.json", tmp_path / "file" / "f.json", tmp_path):
        assert "--json" in refuse(bench("step", "--json", str(path)), capsys)


def test_the_transformer_has_as_many_parameters_as_the_lstm() -> None:
    from backcast.benchmark.work.method import Work as Method
    from backcast.benchmark.work.transformer import Work as Transformer

    lstm = Method({**SHAPE, "hidden": 128, "config": {"method": "lstm"}}).network.encoder
    width = width_like(lstm_parameters(128, 3), 3)
    transformer = Transformer({**SHAPE, "hidden": 128, "width": width})
    parts = [*transformer.embedding.parameters(), *transformer.encoder.parameters()]
    assert sum(each.numel() for each in lstm.parameters()) == lstm_parameters(128, 3)
    assert sum(each.numel() for each in parts) == transformer_parameters(width, 3)
    assert abs(transformer_parameters(width, 3) / lstm_parameters(128, 3) - 1) < 0.1
    transformer.prepare(tiny=False)
    assert transformer.run()["seconds"] > 0


def test_a_truncated_plain_lstm_has_the_loss_of_the_whole_one() -> None:
    import torch

    from backcast.benchmark.work.plain import Work

    whole, cut = (Work({**SHAPE, "truncation": truncation}) for truncation in (None, 5))
    cut.lstm, cut.head = whole.lstm, whole.head
    losses = []
    for work in (whole, cut):
        work.prepare(tiny=False)
        losses.append(work.loss())
    torch.testing.assert_close(losses[0], losses[1])
    assert plain("", SHAPE, 5).needs < plain("", SHAPE, None).needs


def test_the_parts_of_a_step_add_up_and_the_segments_are_all_there() -> None:
    from argparse import Namespace

    from backcast.benchmark.work.parts import Work

    arguments = Namespace(lengths=[20], batch=2, hidden=4, channels=1, truncation=5, only=None)
    steps, parts = paper.plan(arguments).groups
    assert len(steps) == 2 + 3 * 6 and len(parts) == len(paper.PARTS)
    work = Work(dict(parts[0].contenders[0].settings))
    work.prepare(tiny=False)
    found = work.run()
    together = ("plan", "sweep", "classification", "windows", "decoder", "sampling", "backward")
    assert set(paper.PARTS) == set(found)
    assert sum(found[name] for name in together) == pytest.approx(found["seconds"])
    outcome = Outcome(found=[found])
    record = parts[1].record({parts[1].contenders[0].name: outcome}, 1)
    assert record["contender"] == "part plan" and record["seconds"] == found["plan"]
    (group,) = segments.plan(arguments).groups
    assert [row.key["anchors"] * row.key["segment_length"] for row in group] == [600] * 5


def test_numbers_are_short_and_whole_where_they_are_large() -> None:
    assert [significant(value) for value in (0, 0.00123456, 0.5, 12.345, 1234.5, 1234567.0)] == [
        "0", "0.00123", "0.5", "12.3", "1,234", "1,234,567"
    ]  # fmt: skip


def test_the_pictures_of_the_performance_are_drawn(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["performance.py", str(files), str(tmp_path)])
    runpy.run_path(str(ROOT / "docs" / "performance.py"), run_name="__main__")
    drawn = {path.name for path in tmp_path.glob("performance-*.png")}
    assert {
        "performance-length.png",
        "performance-peak.png",
        "performance-size.png",
        "performance-memory.png",
    } <= drawn
