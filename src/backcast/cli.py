"""The `backcast` command.

Exit status 0; 1 for a run that failed or was stopped at a step; 2 for input or options that do not fit, with one line
that says what, where and what to do; 130 for Ctrl-C anywhere else. Nothing heavy is imported before it is needed, so
`--help` answers at once.
"""

from __future__ import annotations

import argparse
import os
import sys
from importlib.metadata import version
from typing import Any, NoReturn

from backcast.commands import (
    benchmark,
    cache,
    demo,
    doctor,
    evaluate,
    export,
    inspect_data,
    ls,
    predict,
    report,
    reproduce,
    stream,
    train,
)  # fmt: skip
from backcast.errors import InputError, RunError, is_out_of_memory, nearest

EPILOG = """examples:
  backcast demo                                    see in minutes, on a CPU, what the method is for
  backcast inspect data.npz                        what is in it, and settings to begin with
  backcast train mnist --preset paper/mnist        the paper's settings
  backcast train data.npz --out runs/mine          arrays of your own: x (n, T) or (n, T, C), y (n,)
  backcast evaluate runs/mine data.npz
  backcast predict runs/mine new.npz --out p.csv
"""
COMMANDS = {
    "demo": (demo, "digits, then silence: six methods side by side, and a report"),
    "train": (train, "train on DATA"),
    "evaluate": (evaluate, "accuracy of the model in RUN on DATA"),
    "predict": (predict, "class and probabilities for every row of DATA"),
    "stream": (stream, "read data as it comes, from standard input: a line of JSON out as often as asked"),
    "export": (export, "the model for other runtimes: ONNX, torch.export, or a folder for the Hub"),
    "reproduce": (
        reproduce,
        "a table or figure of the paper: what is missing is run, ours beside the paper's",
    ),
    "report": (report, "one HTML file about one or more runs: results, curves, what the networks remember"),
    "inspect": (inspect_data, "what is in DATA, settings to begin with, and what a training step takes"),
    "cache": (cache, "list imported data, or delete them"),
    "benchmark": (benchmark, "seconds and memory on this machine, beside plain torch"),
    "ls": (ls, f"what there is: {', '.join(ls.LISTS)}"),
    "doctor": (doctor, "what backcast uses on this machine, and why"),
}
OUT_OF_MEMORY = {
    "train": "out of memory; a smaller --batch-size, --truncation or --hidden-size needs less",
    "evaluate": "out of memory; a smaller --batch-size needs less",
    "predict": "out of memory; a smaller --batch-size needs less",
    "report": "out of memory; a report of fewer runs needs less",
    "inspect": "out of memory; --no-measure runs no training steps",
}
"""What is said when memory ran out, and what of a command's own options would help."""


class _Parser(argparse.ArgumentParser):
    """Reports a mistake in one line, with the nearest name."""

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message} (see {self.prog} --help)")

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        found, rest = super().parse_known_args(args, namespace)
        unknown = [word for word in rest if word.startswith("-")]
        if unknown:
            name = unknown[0].split("=")[0]
            raise InputError(
                f"unknown option {name}{nearest(name, self._option_string_actions)} (see {self.prog} --help)"
            )
        return found, rest

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Called by argparse for the name of a command."""
        if action.choices is not None and value not in action.choices:
            raise InputError(
                f"{action.metavar} {value}: is not one of {', '.join(action.choices)}{nearest(value, action.choices)} "
                f"(see {self.prog} --help)"
            )


def main(argv: list[str] | None = None) -> int:
    """Runs the command; returns its exit status. Without `argv`, the process is taken to be the command's own."""
    command = ""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # the shell's >&-
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 (open to the end)
    try:
        try:
            arguments = make_parser().parse_args(argv)
            command = arguments.command
            arguments.own_process = argv is None
            status: int = arguments.run(arguments)
            return status
        finally:
            sys.stdout.flush()  # a closed pipe must show here, not when Python exits
    except InputError as error:
        return _complain(error, 2)
    except RunError as error:
        return _complain(error, 1)
    except BrokenPipeError:
        # Whoever read our output has stopped; leave nothing to flush into the closed pipe.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        return _complain(f"{error.filename or 'a file'}: {error.strerror or error}", 1)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        return _complain(OUT_OF_MEMORY.get(command, "out of memory"), 1)
    except KeyboardInterrupt:
        return _complain("interrupted", 130)


def _complain(error: object, status: int) -> int:
    print(f"backcast: {' '.join(str(error).split())}", file=sys.stderr)
    return status


def make_parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="backcast",
        description="Recurrent networks that learn from very long sequences, in memory that does not grow with the length.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"backcast {version('backcast')}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=_Parser)

    for name, (module, help) in COMMANDS.items():
        command = commands.add_parser(name, help=help, description=help, allow_abbrev=False)
        command.set_defaults(run=module.run)
        module.add_options(command)
    return parser
