"""What `backcast reproduce` does with its options. Nothing heavy is imported before that."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from backcast.errors import RunError


def run_reproduce(arguments: argparse.Namespace, stop: Callable[[], bool], say: Callable[[str], None]) -> int:
    from backcast.paper.planning import Request
    from backcast.paper.reproduce import reproduce
    from backcast.trainer import Interrupted

    given = {name: value for name, value in vars(arguments).items() if name in Request.__annotations__}
    request = Request(**{**given, "only": tuple(arguments.only or ())})
    try:
        failed = reproduce(request, stop=stop, say=say)
    except Interrupted:
        raise RunError(f"stopped; go on with: {request.command()}") from None
    return 1 if failed else 0
