"""`backcast evaluate`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from backcast.commands import on_rows
from backcast.commands.on_rows import load_both, require_output
from backcast.commands.terminal import say
from backcast.errors import plural
from backcast.files import json_bytes
from backcast.output_files import STANDARD_OUTPUT, write_or_refuse


def add_options(parser: argparse.ArgumentParser) -> None:
    on_rows.add_options(parser)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result as JSON, too; -: to standard output")  # fmt: skip


def run(arguments: argparse.Namespace) -> int:
    if arguments.json not in (None, STANDARD_OUTPUT):
        require_output(arguments.json, f"--json {arguments.json}", arguments.data)
    model, rows, split = load_both(arguments, labels=True)
    from backcast.data.sources import identity  # after the process is prepared: it imports torch

    if split in ("train", "all") and identity(arguments.data) == identity(model.config.data):
        say(
            f"{arguments.data}: the network was trained on these rows, or on some of them; only new rows show how good it is"
        )
    found = model.evaluate(rows, arguments.batch_size)
    line = (
        f"accuracy {found.accuracy:.4f} ({found.correct} of {found.count} {plural(found.count, 'row')}, {arguments.data}, {split}), "
        f"balanced {found.balanced_accuracy:.4f}, macro-F1 {found.macro_f1:.4f}, loss {found.loss:.4f}"
    )
    if arguments.json is None:
        print(line)
        return 0
    result = {
        **found.to_json(), "classes": model.classes,
        "data": arguments.data, "split": split, "run": str(arguments.source),
    }  # fmt: skip
    if arguments.json == STANDARD_OUTPUT:
        say(line)
        sys.stdout.write(json_bytes(result).decode())
        return 0
    write_or_refuse(arguments.json, json_bytes(result), f"--json {arguments.json}")
    print(line)
    return 0
