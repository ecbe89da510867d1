"""`backcast cache`."""

from __future__ import annotations

import argparse

from backcast.arguments import whole
from backcast.errors import InputError


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--clean", action="store_true", help="remove them")
    parser.add_argument(
        "--older-than", type=whole(0), metavar="DAYS", help="only those not used for this many days"
    )


def run(arguments: argparse.Namespace) -> int:
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
