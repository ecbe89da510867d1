"""`backcast train`."""

from __future__ import annotations

import argparse
from pathlib import Path
from shlex import quote
from typing import Any

from backcast.commands.settings import add_settings, given
from backcast.commands.terminal import prepare_process, say, stop_on_signals
from backcast.config import FIELDS, Config, read_yaml, resolve
from backcast.errors import InputError, RunError, nearest
from backcast.presets import PRESETS


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("data", nargs="?", metavar="DATA", help=FIELDS["data"].metadata["help"])
    parser.add_argument("--preset", help="named settings; see `backcast ls presets`")
    parser.add_argument("--config", type=Path, help="settings from a YAML file; flags override it")
    parser.add_argument("--out", type=Path, help="folder of the run (default: runs/DATA-METHOD-SEED)")
    parser.add_argument("--resume", action="store_true", help="continue the run in --out")
    parser.add_argument("--overwrite", action="store_true", help="replace the run in --out")
    add_settings(parser)


def run(arguments: argparse.Namespace) -> int:
    config = _config(arguments)
    if arguments.resume and arguments.overwrite:
        raise InputError("--resume and --overwrite exclude each other")
    prepare_process(arguments)
    from backcast.progress import TrainingProgress
    from backcast.run import train
    from backcast.trainer import Interrupted

    out = arguments.out or Path("runs") / f"{Path(config.data or 'data').stem}-{config.method}-{config.seed}"
    stop = stop_on_signals()
    try:
        with TrainingProgress(config.method) as progress:
            train(
                config, out, resume=arguments.resume, overwrite=arguments.overwrite, say=say,
                on_total=progress.total, on_advance=progress.advance, stop=stop,
            )  # fmt: skip
    except Interrupted:
        raise RunError(f"stopped; go on with: backcast train --resume --out {quote(str(out))}") from None
    _print_result(out, config)
    return 0


def _config(arguments: argparse.Namespace) -> Config:
    layers: list[dict[str, Any]] = []
    begun = arguments.resume and arguments.out is not None and (arguments.out / "config.yaml").exists()
    if begun:
        layers.append(read_yaml(arguments.out / "config.yaml"))
    if arguments.preset is not None:
        if arguments.preset not in PRESETS:
            raise InputError(
                f"--preset {arguments.preset}: there is no such preset{nearest(arguments.preset, PRESETS)}"
            )
        layers.append(PRESETS[arguments.preset])
    if arguments.config is not None:
        layers.append(read_yaml(arguments.config))
    config = resolve([*layers, given(arguments, FIELDS)])
    if arguments.resume and not begun and config.data is None:
        raise InputError("--resume needs --out RUN, the folder of a run that was begun")
    return config


def _print_result(out: Path, config: Config) -> None:
    from backcast.history import kept_epoch, read_metrics
    from backcast.run import read_environment

    epochs = read_metrics(out / "metrics.jsonl")
    if (best := kept_epoch(epochs, config.class_weights)) is not None:
        balanced = ""
        if config.class_weights == "balanced":
            balanced = f", balanced {best['validation_balanced_accuracy']:.4f}"
        print(
            f"validation accuracy {best['validation_accuracy']:.4f}{balanced} "
            f"(epoch {best['epoch']} of {epochs[-1]['epoch']})"
        )
    elif "accuracy" in epochs[-1]:
        print(f"training accuracy {epochs[-1]['accuracy']:.4f} (last epoch; no rows were held out)")
    has_test = read_environment(out).get("rows", {}).get("test")
    tested = quote(str(config.data)) if has_test else "ROWS-IT-HAS-NOT-SEEN"
    run = quote(str(out))
    following = f"backcast evaluate {run} {tested}" if config.epochs else f"backcast train DATA --from {run}"
    print(f"model in {out / 'model'}; next: {following}, backcast report {run}")
