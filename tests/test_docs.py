"""Every block of the README runs, at toy size; every name in the documents exists."""

from __future__ import annotations

import argparse
import ast
import importlib
import io
import re
import runpy
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import backcast
from backcast.cli import main, make_parser
from test_data import write_pictures, write_zhang

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("**/*.md"))]
PAGES = [page for page in PAGES if "_build" not in page.parts]
TOY = ["--hidden-size", "4", "--feedforward-size", "4", "--limit", "60", "--device", "cpu"]


def option_strings(parser: argparse.ArgumentParser) -> set[str]:
    """Of a parser and all its commands'."""
    found = set()
    for action in parser._actions:
        found |= {*action.option_strings}
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                found |= option_strings(command)
    return found


FLAGS = option_strings(make_parser())


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(), flags=re.DOTALL)


@pytest.mark.parametrize(
    "page",
    [
        ROOT / "README.md",
        ROOT / "docs" / "start.md",
        ROOT / "docs" / "settings.md",
        ROOT / "docs" / "data.md",
        ROOT / "docs" / "reproduce.md",
        ROOT / "docs" / "streaming.md",
        ROOT / "docs" / "estimators.md",
    ],
    ids=lambda page: page.name,
)
def test_the_blocks_of_a_page_run_in_order(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    if page.name == "streaming.md":
        for package in ("onnx", "onnxscript", "onnxruntime"):
            pytest.importorskip(package)
    for name in ("mnist", "cifar10"):
        write_pictures(tmp_path / "data", name)
    for language, block in re.findall(r"```(python|bash)\n(.*?)```", page.read_text(), flags=re.DOTALL):
        if language == "python":
            subprocess.run([sys.executable, "-c", block], check=True, cwd=tmp_path)
            continue
        for line in block.splitlines():
            if not line.startswith("backcast "):
                assert line.split()[0] in ("make", "python3", ".", "pip", "python"), line
                continue
            words = shlex.split(line)[1:]
            if "<" in words:
                content = io.BytesIO(Path(words.pop()).read_bytes())
                monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(content))
                words.pop()
            words = toy(words)
            if words[0] == "reproduce":
                words = [{"small": "smoke", "3": "1"}.get(word, word) for word in words]  # in seconds
            if {"mnist", "reproduce"} & set(words) or (words[0] == "report" and "runs/lstm" in words):
                words += ["--data-dir", str(tmp_path / "data")]
            assert main(words) == 0, line


@pytest.mark.parametrize("name", ["results", "measurements"])
def test_the_commands_of_the_results_run(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At toy size, on data of the same names and forms; each block in a folder of its own, with the variables so far."""
    for pictures in ("mnist", "cifar10"):
        write_pictures(tmp_path / "data", pictures)
    write_zhang(tmp_path / "data" / "dbpedia", 56)
    variables: dict[str, str] = {}
    for number, block in enumerate(blocks(ROOT / "docs" / f"{name}.md", "bash")):
        folder = tmp_path / str(number) / "main"
        folder.mkdir(parents=True)
        (folder.parent / "shared").mkdir()
        (folder.parent / "shared" / "data").symlink_to(tmp_path / "data")
        for archived in set(re.findall(r"^backcast train ([A-Z]\w+)", block, flags=re.MULTILINE)):
            write_archive(folder / archived)
        monkeypatch.chdir(folder)
        for line in block.splitlines():
            if assigned := re.fullmatch(r'([A-Z]+)="(.*)"', line):
                variables[assigned[1]] = expanded(assigned[2], variables)
                continue
            command, *words = shlex.split(expanded(line, variables))
            if words[0] in ("train", "evaluate"):
                assert main(toy(words)) == 0, line
            elif command == "backcast":  # the demo and the examples have tests of their own
                make_parser().parse_args(words)
            else:
                assert command == "python" and (ROOT / words[0]).exists(), line


def expanded(line: str, variables: dict[str, str]) -> str:
    return re.sub(r"\$([A-Z]+)", lambda found: variables[found[1]], line)


def toy(words: list[str]) -> list[str]:
    """A command to train, with at most one epoch a phase and `TOY`; of two values of a flag the last one counts."""
    if words[0] != "train":
        return words
    shorter: list[str] = []
    for flag in ("--epochs", "--pretrain-epochs"):
        if flag not in words or words[words.index(flag) + 1] != "0":
            shorter += [flag, "1"]
    return [*words, *shorter, *TOY]


def write_archive(folder: Path) -> None:
    """A data set in two .ts files, as the archive has them."""
    folder.mkdir()
    generator = np.random.default_rng(0)
    for split in ("TRAIN", "TEST"):
        rows = [",".join(f"{x:.2f}" for x in generator.normal(size=30)) + f":{row % 2}" for row in range(20)]
        header = ["@univariate true", "@classLabel true 0 1", "@data"]
        (folder / f"{folder.name}_{split}.ts").write_text("\n".join([*header, *rows]) + "\n")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_flags_and_files_that_a_page_names_exist(page: Path) -> None:
    text = page.read_text()
    for name in re.findall(r"`(--[a-z-]+)", text):
        assert name in FLAGS or name.replace("--no-", "--") in FLAGS, name
    for link in re.findall(r"\]\((?!http)([^)#]+)\)", text):
        assert (page.parent / link).exists(), link
    for file in re.findall(r"`((?:docs|tests|src|\.ci)/[\w./-]+)`", text):
        assert (ROOT / file).exists(), file


def test_every_message_of_the_troubleshooting_page_is_one_of_ours() -> None:
    """`…` on the page and a `{value}` in the source both stand for what differs."""
    known = {text for path in (ROOT / "src").rglob("*.py") for text in texts(ast.parse(path.read_text()))}
    messages = blocks(ROOT / "docs" / "troubleshooting.md", "text")
    assert len(messages) > 50
    for message in messages:
        parts = [re.escape(part) for part in message.strip().split("…")]
        assert any(re.match(".*".join(parts), text) for text in known), message


def texts(tree: ast.AST) -> Iterator[str]:
    """The strings of a module; what an f-string puts in is `…`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        elif isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)


def test_the_page_of_python_names_all_that_is_public() -> None:
    page = (ROOT / "docs" / "api.md").read_text()
    for name in backcast.__all__:
        assert re.search(rf"auto(class|function|exception):: backcast\.{name}$", page, re.MULTILINE), name


def test_the_pictures_of_the_method_are_drawn(tmp_path: Path) -> None:
    runpy.run_path(str(ROOT / "docs" / "method.py"))["main"](tmp_path)
    drawn = sorted(path.name for path in tmp_path.glob("*.svg"))
    assert drawn == sorted(path.name for path in (ROOT / "docs").glob("method-*.svg"))


def test_the_examples_run(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    for name in ("train", "test"):
        np.savez(tmp_path / name, x=generator.normal(size=(30, 9, 2)), y=np.arange(30) % 3)
    files = [str(tmp_path / f"{name}.npz") for name in ("train", "test")]
    script = ROOT / "examples" / "scikit_learn_baseline.py"
    found = subprocess.run([sys.executable, script, *files], check=True, capture_output=True, text=True)
    assert "logistic regression" in found.stdout
    script = ROOT / "examples" / "adding_problem.py"
    words = ["irnn", "--steps", "4", "--hidden-size", "4", "--updates", "1"]
    found = subprocess.run([sys.executable, script, *words], check=False, capture_output=True, text=True)
    assert found.returncode == 1 and "not solved" in found.stdout


@pytest.mark.parametrize(
    "name", ["own_lstm", "own_network", "own_segment", "with_lightning", "with_accelerate"]
)
def test_the_examples_of_plain_pytorch_run(name: str) -> None:
    for word, package in (("lightning", "pytorch_lightning"), ("accelerate", "accelerate")):
        if word in name:
            pytest.importorskip(package, exc_type=ImportError)
    script = ROOT / "examples" / f"{name}.py"
    found = subprocess.run([sys.executable, script, "2"], check=True, capture_output=True, text=True)
    assert "accuracy" in found.stdout or "squared error" in found.stdout


def test_make_targets_that_the_readme_names_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"^make (\w+)", (ROOT / "README.md").read_text(), flags=re.MULTILINE):
        assert f"\n{target}:" in makefile


def test_the_demo_writes_its_summary_and_report_at_toy_size(tmp_path: Path) -> None:
    import json

    assert (
        main(["demo", "--out", str(tmp_path / "demo"), "--scale", "0.01", "--methods", "lstm,r-lstm,rp-lstm"])
        == 0
    )
    summary = json.loads((tmp_path / "demo" / "summary.json").read_text())
    keys = {
        "method",
        "truncation",
        "test_accuracy",
        "train_seconds",
        "peak_activation_bytes",
        "parameters",
        "remembers_steps",
    }
    assert [row["name"] for row in summary] == ["lstm", "r-lstm", "rp-lstm"] and keys <= set(summary[0])
    assert all(row["peak_activation_bytes"] > 0 and 0 <= row["test_accuracy"] <= 1 for row in summary)
    assert (tmp_path / "demo" / "report.html").stat().st_size > 10_000
    assert 'href="interactive.html"' in (tmp_path / "demo" / "report.html").read_text()
    assert 100_000 < (tmp_path / "demo" / "interactive.html").stat().st_size <= 5_000_000
    assert main(["demo", "--out", str(tmp_path / "demo"), "--scale", "0.01"]) == 2
    assert main(["demo", "--out", str(tmp_path / "demo"), "--methods", "r-lstn"]) == 2


def test_the_page_of_commands_names_every_option(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("sphinx")
    monkeypatch.syspath_prepend(str(ROOT / "docs" / "site"))
    program = importlib.import_module("program")
    shown = "\n".join([*program.command_lines(), *program.setting_lines()])
    assert "## backcast stream" in shown and "### backcast benchmark step" in shown
    absent = {
        one for one in FLAGS if f"`{one}" not in shown and f"`{one.replace('--no-', '--', 1)}" not in shown
    }
    assert absent <= {"-h", "--help", "--version"}
    for line in shown.splitlines():
        if line.startswith("| `"):
            assert len(re.findall(r"(?<!\\)\|", line)) in (3, 5), line
