"""benchmarks/archive.py without what it compares with: its table, its file, and how it goes on."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "benchmarks"
ENVIRONMENT = {
    "command": "python benchmarks/archive.py", "date": "2026-01-02T03:04:05+00:00", "processor": "Abacus", "cores": 2,
    "python": "3.11.0", "kernel": "off", "versions": {"aeon": "1.6.0"},
}  # fmt: skip


@pytest.fixture
def archive(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module("archive")


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module("archive_table")


def row(contender: str, seed: int, **found: Any) -> dict[str, Any]:
    measured = {"accuracy": 0.5, "fit_seconds": 2.0, "predict_seconds": 1.0, "peak_bytes": 3_000_000}
    return {
        "data": "ACSF1", "contender": contender, "seed": seed, "settings": "–", "smoke": False, "load": 0.1,
        "environment": ENVIRONMENT, **(found if "error" in found else {**measured, **found}),
    }  # fmt: skip


def line(text: str, contender: str) -> list[str]:
    [found] = [line for line in text.splitlines() if line.startswith(f"| {contender} |")]
    return [cell.strip() for cell in found.strip("|").split("|")]


def test_the_table_has_means_deviations_and_ratios(table: Any) -> None:
    rows = [row("ROCKET", seed, fit_seconds=4.0) for seed in range(3)]
    rows += [
        row("r-lstm", 0, accuracy=0.7, fit_seconds=10.0),
        row("r-lstm", 1, accuracy=0.9, fit_seconds=14.0),
    ]
    text = table.tables(rows)
    assert line(text, "ROCKET")[3:] == ["50.0 ± 0.0", "4 ± 0", "1", "1 ± 0", "3 ± 0", "3"]
    assert line(text, "r-lstm")[3:] == ["80.0 ± 14.1", "12 ± 2.83", "3", "1 ± 0", "3 ± 0", "2"]
    assert "Abacus" in text and "aeon 1.6.0" in text and "## OSULeaf" not in text and "smoke" not in text


def test_a_failed_contender_has_its_reason_and_its_seeds_are_counted(table: Any) -> None:
    rows = [
        row("ROCKET", 0, error="ValueError: a|b"),
        row("FCN", 0),
        row("FCN", 1, error="not done after 600 s"),
    ]
    text = table.tables(rows)
    assert line(text, "ROCKET")[3] == "failed: ValueError: a/b" and line(text, "ROCKET")[-1] == "0, 1 failed"
    assert (
        line(text, "FCN")[3] == "50.0"
        and line(text, "FCN")[5] == "–"
        and line(text, "FCN")[-1] == "1, 1 failed"
    )


def test_a_row_measured_again_replaces_the_failed_one(table: Any) -> None:
    text = table.tables([row("ROCKET", 0, error="no memory"), row("ROCKET", 0)])
    assert line(text, "ROCKET")[-1] == "1" and "no memory" not in text


def test_a_smoke_run_says_so(table: Any) -> None:
    assert "mean nothing" in table.tables([{**row("ROCKET", 0), "smoke": True}])


def test_the_documents_page_has_the_place_for_the_table(table: Any) -> None:
    page = (ROOT / "docs" / "archive.md").read_text()
    once = table.filled(page, [row("ROCKET", 0)])
    assert "| ROCKET | aeon |" in once and table.filled(once, [row("ROCKET", 0)]) == once
    with pytest.raises(ValueError, match="has no"):
        table.filled("# A page", [row("ROCKET", 0)])


def test_rounds_are_interleaved_by_seed_and_dtw_needs_one(archive: Any) -> None:
    jobs = archive.plan(3, smoke=False)
    assert [job["seed"] for job in jobs] == sorted(job["seed"] for job in jobs)
    assert sum(job["contender"] == "1-NN DTW" for job in jobs) == len(archive.DATA)
    assert sum(job["contender"] == "r-lstm" for job in jobs) == 3 * len(archive.DATA)


def test_a_failure_is_a_row_and_the_next_run_measures_that_one_alone(archive: Any, tmp_path: Path) -> None:
    path, asked = tmp_path / "new" / "rows.jsonl", []
    jobs = archive.plan(1, smoke=False, only=["ROCKET", "r-lstm"])

    def measure(job: dict[str, Any]) -> dict[str, Any]:
        asked.append((job["data"], job["contender"]))
        return {"error": "broken"} if len(asked) == 2 else {"accuracy": 1.0}

    archive.run(jobs, path, archive.read(path), ENVIRONMENT, measure)
    assert asked == [(data, name) for data in archive.DATA for name in ("ROCKET", "r-lstm")]
    archive.run(jobs, path, archive.read(path), ENVIRONMENT, measure)
    assert asked[4:] == [asked[1]] and len(path.read_text().splitlines()) == 5
    archive.run(jobs, path, archive.read(path), ENVIRONMENT, measure)
    assert len(asked) == 5
    with pytest.raises(SystemExit, match="measured with cores 2, and it is 4 now"):
        archive.run(jobs, path, archive.read(path), {**ENVIRONMENT, "cores": 4}, measure)


def test_a_process_that_fails_or_takes_too_long_says_why(
    archive: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(archive, "HERE", tmp_path)
    worker = tmp_path / "archive_worker.py"
    worker.write_text("raise ValueError('too short')")
    assert archive.measure({}, 60) == {"error": "ValueError: too short (exit status 1)"}
    worker.write_text("import time; time.sleep(60)")
    assert archive.measure({}, 0.2) == {"error": "not done after 0.2 s"}
    worker.write_text("import sys; print('chatter'); print('{\"accuracy\": ' + str(len(sys.argv)) + '}')")
    assert archive.measure({}, 60) == {"accuracy": 2}


def test_a_smoke_run_with_aeon(tmp_path: Path) -> None:
    pytest.importorskip("aeon")
    rows = tmp_path / "rows.jsonl"
    words = ["--smoke", "--seeds", "1", "--only", "ROCKET", "lstm, truncated 300", "--out", str(rows)]
    subprocess.run([sys.executable, FOLDER / "archive.py", *words], check=True)
    assert all(0 <= json.loads(line)["accuracy"] <= 1 for line in rows.read_text().splitlines())
