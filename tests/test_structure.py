"""Who may import whom, and what importing the package must not do."""

from __future__ import annotations

import ast
import graphlib
import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).parent.parent / "src" / "backcast"

LEVELS = {
    0: [
        "errors",
        "methods",
        "rng",
        "files",
        "metrics",
        "windows",
        "batch",
        "activations",
        "presets",
        "progress",
        "process",
        "machine",
        "legible",
        "hub",
    ],
    1: ["arguments", "history", "sweep", "checkpoint", "output_files", "locks", "data", "kernel"],
    2: ["nn", "predictions", "recompute", "chunks", "config", "hub_models"],
    3: ["objectives", "inference", "model_card"],
    4: ["phases", "auxiliary"],
    5: ["trainer"],
    6: ["build"],
    7: ["prepared", "evaluation", "suggestions", "rows_figure", "side_by_side", "streaming", "estimator"],
    8: ["run", "step_memory", "stream_lines", "export"],
    9: ["report", "doctor", "inspection"],
    10: ["demo", "benchmark", "paper"],
    11: ["commands"],
    12: ["cli"],
    13: ["__main__"],
}
LEVEL_OF = {name: level for level, names in LEVELS.items() for name in names}


def imports(path: Path) -> set[tuple[str, str]]:
    """All `from MODULE import NAME` of the package in a file, anywhere in it: (MODULE, NAME)."""
    return {
        (node.module, alias.name)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "backcast"
        for alias in node.names
    }


def imported(path: Path) -> set[str]:
    """What a file imports of the package's first level: `backcast.data.sources` -> `data`."""
    return {module.split(".")[1] if "." in module else name for module, name in imports(path)}


def test_imports_go_to_a_lower_level_or_stay_in_their_folder() -> None:
    for path in SOURCE.rglob("*.py"):
        own = path.relative_to(SOURCE).parts[0].removesuffix(".py")
        if own == "__init__":
            continue
        for other in imported(path) - {own}:
            assert LEVEL_OF[other] < LEVEL_OF[own], f"{path.relative_to(SOURCE)} must not import {other}"


def test_no_files_need_each_other() -> None:
    files = {
        ".".join(path.relative_to(SOURCE.parent).with_suffix("").parts).removesuffix(".__init__"): path
        for path in SOURCE.rglob("*.py")
    }
    needs = {
        module: {wanted if (wanted := f"{base}.{name}") in files else base for base, name in imports(path)}
        for module, path in files.items()
    }
    graphlib.TopologicalSorter(needs).prepare()  # CycleError names the circle


def test_no_file_is_long() -> None:
    for path in SOURCE.rglob("*.py"):
        assert len(path.read_text().splitlines()) < 420, path


def test_public_names_are_seen_before_they_are_used() -> None:
    code = (
        "import sys, backcast; assert {*backcast.__all__} <= {*dir(backcast)} and 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_importing_changes_nothing_in_the_process() -> None:
    code = (
        "import torch, backcast\n"
        "before = torch.random.get_rng_state(), torch.get_num_threads(), torch.get_default_dtype()\n"
        "tiny = torch.tensor([1e-40]) * 1.0\n"
        "from backcast import AuxiliaryLoss, BackcastClassifier, Config, load, load_model, train\n"
        "after = torch.random.get_rng_state(), torch.get_num_threads(), torch.get_default_dtype()\n"
        "assert torch.equal(before[0], after[0]) and before[1:] == after[1:]\n"
        "assert float(tiny) != 0 and float(torch.tensor([1e-40]) * 1.0) != 0\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
