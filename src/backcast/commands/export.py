"""`backcast export`."""

from __future__ import annotations

import argparse
from pathlib import Path

from backcast.arguments import whole
from backcast.commands.terminal import prepare_process
from backcast.errors import InputError


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", type=Path, metavar="RUN", help="a run folder")
    parser.add_argument("target", type=Path, metavar="TARGET", help="model.onnx, model.pt2 (torch.export), or a folder to be made: weights, settings and a model card")  # fmt: skip
    parser.add_argument("--opset", type=whole(1), metavar="N", help="of ONNX (default: the newest that torch writes; an older runtime may need 18 to 22)")  # fmt: skip
    parser.add_argument("--license", metavar="NAME", help="of the model, for the card of a folder (default: unknown)")  # fmt: skip
    parser.add_argument("--evaluation", type=Path, metavar="FILE", help="for the card of a folder: what `evaluate --json` wrote")  # fmt: skip


def run(arguments: argparse.Namespace) -> int:
    prepare_process(arguments)
    from backcast.build import load_model
    from backcast.export import OPSET, export

    target: Path = arguments.target
    of_folder = [flag for flag in ("license", "evaluation") if getattr(arguments, flag) is not None]
    model = load_model(arguments.source)
    if not target.suffix:
        if arguments.opset is not None:
            raise InputError(f"--opset goes with an .onnx file; {target} has no ending, so it is a folder")
        model.save_pretrained(target, license=arguments.license, evaluation=arguments.evaluation)
        print(f"{target}: weights, settings and a model card; read the card before you publish it")
        return 0
    if of_folder:
        raise InputError(f"--{of_folder[0]} goes with a folder; {target} is a file by its ending")
    if arguments.opset is not None and target.suffix != ".onnx":
        raise InputError(f"--opset goes with an .onnx file, not with {target}")
    said: list[str] = []
    export(model, target, opset=arguments.opset or OPSET, say=said.append)
    print(f"{target}: {'; '.join(said)}")
    return 0
