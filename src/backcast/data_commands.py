"""The options of `backcast inspect` and `backcast cache`, and what they do. Nothing heavy is imported before it is needed."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from pathlib import Path

from backcast.arguments import whole
from backcast.config import DATA_OPTIONS, FIELDS, flag
from backcast.errors import InputError


def add_data_options(parser: argparse.ArgumentParser, names: Iterable[str], default: str = "") -> None:
    """A flag for each of these settings, None where it is not given; `default` is appended to its help."""
    for name in names:
        rules = FIELDS[name].metadata
        if rules["kind"] is bool:
            add = argparse.BooleanOptionalAction
            parser.add_argument(flag(name), action=add, default=None, help=rules["help"] + default)
        else:
            metavar = "{" + ",".join(rules["choices"]) + "}" if rules["choices"] else None
            parser.add_argument(flag(name), help=rules["help"] + default, metavar=metavar)


def add_inspect_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("data", metavar="DATA", help=FIELDS["data"].metadata["help"])
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="a picture of a few rows: .png, .pdf or .svg"
    )
    parser.add_argument("--no-measure", action="store_true", help="run no training steps to measure them")
    add_data_options(parser, DATA_OPTIONS)


def inspect(arguments: argparse.Namespace, say: Callable[[str], None]) -> int:
    from backcast.inspection import inspect

    given = {name: value for name in DATA_OPTIONS if (value := getattr(arguments, name)) is not None}
    for line in inspect(arguments.data, given, measure=not arguments.no_measure, out=arguments.out, say=say):
        print(line, flush=True)
    return 0


def add_cache_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--clean", action="store_true", help="remove them")
    parser.add_argument(
        "--older-than", type=whole(0), metavar="DAYS", help="only those not used for this many days"
    )


def cache(arguments: argparse.Namespace) -> int:
    from backcast.data.store.cache_entries import clean, imports, listing

    if arguments.older_than is not None and not arguments.clean:
        raise InputError("--older-than says which imports --clean removes; say both")
    if not arguments.clean:
        print("\n".join(listing()))
        return 0
    removed = clean(arguments.older_than or 0)
    remains = f" and {removed.remains} cut short" if removed.remains else ""
    print(f"removed {imports(removed.entries)}{remains}, {removed.size / 1e6:,.1f} MB")
    return 0
