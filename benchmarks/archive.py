"""`BackcastClassifier` beside aeon's classifiers on the two longest data sets that aeon ships.

    python benchmarks/archive.py            measure; about 50 minutes on two idle cores
    python benchmarks/archive.py --smoke    a few rows, an epoch: does every contender work?
    python benchmarks/archive.py --render   put the table into docs/archive.md

Every contender has a process of its own, for each seed and data set (archive_worker.py). Round after round: a seed,
both data sets, all contenders. Each row is appended to a file of JSON lines as it comes; what the file holds is not
measured again, unless it failed. benchmarks/requirements.txt has what must be installed besides backcast.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from archive_contenders import CONTENDERS, DATA, NAMED
from archive_table import Row, filled, latest

from backcast.benchmark.machine import describe_machine, load

HERE = Path(__file__).parent
ROWS, SMOKE_ROWS = Path("results/archive.jsonl"), Path("runs/archive-smoke.jsonl")
PAGE = HERE.parent / "docs" / "archive.md"
PACKAGES = ("aeon", "tensorflow-cpu", "numba", "torch", "numpy", "scikit-learn")
SAME = ("processor", "cores", "python", "kernel", "versions")
"""What must not differ between the rows of one file."""
KEY = ("data", "contender", "seed", "settings", "smoke")
"""What identifies a measurement."""
Job = dict[str, Any]


def main(words: list[str]) -> int:
    arguments = _options().parse_args(words)
    path: Path = arguments.out or (SMOKE_ROWS if arguments.smoke else ROWS)
    rows = read(path)
    if arguments.render:
        if not rows:
            raise SystemExit(f"{path}: has no rows yet; run without --render first")
        page: Path = arguments.page
        page.write_text(filled(page.read_text(encoding="utf-8"), rows), encoding="utf-8")
        return 0
    jobs = plan(arguments.seeds, arguments.smoke, arguments.only)
    run(jobs, path, rows, _environment(words), lambda job: measure(job, arguments.limit))
    failed = [row for row in latest(read(path)) if "error" in row]
    for row in failed:
        print(f"{row['data']}, {row['contender']}, seed {row['seed']}: {row['error']}", file=sys.stderr)
    return 1 if failed else 0


def plan(seeds: int, smoke: bool, only: list[str] | None = None) -> list[Job]:
    """All measurements, in order."""
    return [
        {
            "data": data,
            "contender": contender.name,
            "seed": seed,
            "settings": contender.settings,
            "smoke": smoke,
        }
        for seed in range(seeds)
        for data in DATA
        for contender in CONTENDERS
        if (contender.is_random or seed == 0) and (only is None or contender.name in only)
    ]


def run(
    jobs: list[Job],
    path: Path,
    rows: list[Row],
    environment: dict[str, Any],
    measure: Callable[[Job], dict[str, Any]],
) -> None:
    """Runs the jobs that `rows` (of the file at `path`) do not hold, and appends a row for each."""
    for row in rows:
        for name in SAME:
            if row["environment"][name] != environment[name]:
                raise SystemExit(
                    f"{path}: was measured with {name} {row['environment'][name]!r}, and it is {environment[name]!r} "
                    "now; choose another --out"
                )
    done = {_key(row) for row in rows if "error" not in row}
    waiting = [job for job in jobs if _key(job) not in done]
    path.parent.mkdir(parents=True, exist_ok=True)
    for number, job in enumerate(waiting):
        _say(f"{number + 1}/{len(waiting)} {job['data']}, {job['contender']}, seed {job['seed']}; "
             f"{_time_left(waiting[number:], rows)}")  # fmt: skip
        busy, began = load(), time.perf_counter()
        found = measure(job)
        seconds = time.perf_counter() - began
        row = {**job, **found, "process_seconds": seconds, "load": busy, "environment": environment}
        rows.append(row)
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")


def measure(job: Job, limit: float) -> dict[str, Any]:
    """What archive_worker.py finds in a process of its own; {"error": why} where it fails or takes too long."""
    command = [sys.executable, str(HERE / "archive_worker.py"), json.dumps(job)]
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=limit)
    except subprocess.TimeoutExpired:
        return {"error": f"not done after {limit:g} s"}
    if ended.returncode:
        why = ended.stderr.strip().splitlines()[-1:] or ["no message"]
        return {"error": f"{why[0]} (exit status {ended.returncode})"}
    found: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return found


def read(path: Path) -> list[Row]:
    """The rows of the file; none where there is no file."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _key(row: Row) -> tuple[Any, ...]:
    return tuple(row[name] for name in KEY)


def _time_left(jobs: list[Job], rows: list[Row]) -> str:
    """Each job counts as long as it took with another seed; one not measured yet, as long as the average."""
    took: dict[tuple[str, str], float] = {
        (row["data"], row["contender"]): row["process_seconds"] for row in rows
    }
    if not took:
        return "time left: not known yet"
    average = sum(took.values()) / len(took)
    seconds = sum(took.get((job["data"], job["contender"]), average) for job in jobs)
    return f"about {seconds / 60:.0f} min left"


def _say(line: str) -> None:
    """Prints on a terminal only."""
    if sys.stderr.isatty():
        print(line, file=sys.stderr, flush=True)


def _environment(words: list[str]) -> dict[str, Any]:
    machine = describe_machine()
    versions = {name: importlib.metadata.version(name) for name in PACKAGES}
    return {
        **machine,
        "versions": versions,
        "command": shlex.join(["python", "benchmarks/archive.py", *words]),
    }


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="benchmarks/archive.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)  # fmt: skip
    parser.add_argument("--smoke", action="store_true", help="a few rows and an epoch")
    parser.add_argument("--render", action="store_true", help="measure nothing; put the table into the page")
    parser.add_argument("--seeds", type=int, default=3, metavar="N", help="of contenders that are random (default: 3)")  # fmt: skip
    parser.add_argument("--only", nargs="+", choices=NAMED, metavar="NAME", help="only these contenders, as the table names them")  # fmt: skip
    parser.add_argument("--limit", type=float, default=600, metavar="S", help="a process that takes longer has failed (default: 600)")  # fmt: skip
    parser.add_argument("--out", type=Path, metavar="FILE", help=f"the rows (default: {ROWS}, with --smoke {SMOKE_ROWS})")  # fmt: skip
    parser.add_argument("--page", type=Path, default=PAGE, metavar="FILE", help="where --render puts the table (default: docs/archive.md)")  # fmt: skip
    return parser


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
