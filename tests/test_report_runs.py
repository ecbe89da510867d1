"""Reports of runs as users have them: few rows, labels written in two ways, splits without labels, odd names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from backcast.cli import main
from backcast.report.results import collect
from test_report import train


def page_of(run: str, *more: str) -> str:
    assert main(["report", run, *more]) == 0
    return (Path(run) / ("interactive.html" if more else "report.html")).read_text()


@pytest.mark.parametrize(("rows", "said"), [(29, "29 rows, too few to trust"), (30, "30 rows")])
def test_both_pages_say_on_how_many_rows_memory_was_measured(rows: int, said: str, tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(60, 8))
    for split, x in (("train", values), ("test", values[:rows])):
        (tmp_path / "data").mkdir(exist_ok=True)
        np.savez(tmp_path / "data" / f"{split}.npz", x=x, y=np.arange(len(x)) % 2)
    run = train(tmp_path / "data", "lstm", tmp_path / "run")
    (group,) = collect([Path(run)], None, lambda line: None).groups
    assert group.runs[0].memory.rows == rows
    report = page_of(run)
    assert f"The first seed of each group, measured on {said}." in report
    assert f"fitted on training rows and measured on {said}, gives" in report
    assert f"measured on {said} (test)" in page_of(run, "--interactive")
