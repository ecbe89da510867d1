"""`backcast reproduce`."""

from __future__ import annotations

import argparse

from backcast.commands.terminal import prepare_process, say, stop_on_signals
from backcast.errors import InputError, RunError
from backcast.paper.options import add_options

__all__ = ["add_options", "run"]


def run(arguments: argparse.Namespace) -> int:
    if arguments.resume and arguments.render:
        raise InputError("--resume and --render exclude each other")
    prepare_process(arguments)
    from backcast.paper.planning import Request
    from backcast.paper.reproduce import reproduce
    from backcast.trainer import Interrupted

    given = {name: value for name, value in vars(arguments).items() if name in Request.__annotations__}
    request = Request(**{**given, "only": tuple(arguments.only or ())})
    try:
        failed = reproduce(request, stop=stop_on_signals(), say=say)
    except Interrupted:
        raise RunError(f"stopped; go on with: {request.command()}") from None
    return 1 if failed else 0
