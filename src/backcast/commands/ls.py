"""`backcast ls`."""

from __future__ import annotations

import argparse

from backcast.arguments import one_of
from backcast.commands.terminal import print_table
from backcast.methods import METHODS
from backcast.paper.options import NAMES
from backcast.presets import PRESETS

LISTS = ("methods", "datasets", "presets", "demo", "experiments")


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", type=one_of(*LISTS), metavar="WHAT", help=", ".join(LISTS))


def run(arguments: argparse.Namespace) -> int:
    if arguments.what == "presets":
        lines = {
            name: ", ".join(f"{key}={value}" for key, value in preset.items())
            for name, preset in PRESETS.items()
        }
    elif arguments.what == "datasets":
        from backcast.data.sources import BUILT_IN

        lines = {name: source.description for name, source in BUILT_IN.items()}
        lines["FILE"] = (
            "CSV, TSV, JSON lines (also .gz), Parquet, Arrow, .npz, .npy, .ts; `backcast inspect FILE` says what is in it"
        )
        lines["FOLDER"] = (
            "a sub-folder per class (texts, pictures, WAV, .npy, any bytes), or files named train and test"
        )
        lines["hf:owner/name"] = (
            "a data set of the Hugging Face Hub; hf:owner/name:config where it has several"
        )
    elif arguments.what == "experiments":
        lines = NAMES
    elif arguments.what == "methods":
        lines = {name: method.description for name, method in METHODS.items()}
    else:
        from backcast.demo import CONTENDERS

        lines = {contender.name: contender.description for contender in CONTENDERS}
    print_table(lines)
    return 0
