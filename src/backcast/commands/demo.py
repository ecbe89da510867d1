"""`backcast demo`."""

from __future__ import annotations

import argparse
from pathlib import Path
from shlex import quote

from backcast.arguments import whole
from backcast.commands.terminal import prepare_process, stop_on_signals
from backcast.errors import InputError, RunError


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, default=Path("demo"), help="folder for runs, summary.json, report.html and interactive.html (default: demo)")  # fmt: skip
    parser.add_argument("--seed", default=0, type=whole(0), help="of everything random (default: 0)")
    parser.add_argument("--methods", help="only these, separated by commas; see `backcast ls demo`")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the epochs to train, for a quick look (default: 1)")  # fmt: skip
    parser.add_argument("--resume", action="store_true", help="continue a demo that was stopped")
    parser.add_argument("--overwrite", action="store_true", help="replace a demo that is there")


def run(arguments: argparse.Namespace) -> int:
    if arguments.resume and arguments.overwrite:
        raise InputError("--resume and --overwrite exclude each other")
    prepare_process(arguments)
    from backcast.demo import run_demo
    from backcast.trainer import Interrupted

    try:
        run_demo(
            arguments.out, seed=arguments.seed, methods=arguments.methods, scale=arguments.scale,
            resume=arguments.resume, overwrite=arguments.overwrite, stop=stop_on_signals(),
        )  # fmt: skip
    except Interrupted:
        raise RunError(
            f"stopped; go on with: backcast demo --resume --out {quote(str(arguments.out))}"
        ) from None
    return 0
