"""Flags for the settings of `config`, and which of them were given."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from typing import Any

from backcast.config import FIELDS, flag


def add_settings(parser: argparse.ArgumentParser) -> None:
    """A flag for every setting but DATA, in groups, with its default in the help."""
    titles = dict.fromkeys(field.metadata["group"] for field in FIELDS.values())
    groups = {title: parser.add_argument_group(title) for title in titles}
    for name, field in FIELDS.items():
        if name == "data":
            continue
        shown = "none" if field.default is None or field.default == () else field.default
        shown = str(shown).lower() if field.metadata["kind"] is bool else shown
        _add(groups[field.metadata["group"]], name, f" (default: {shown})")


def add_some_settings(parser: argparse.ArgumentParser, names: Iterable[str], default: str = "") -> None:
    """A flag for each of these settings; `default` is appended to its help."""
    for name in names:
        _add(parser, name, default)


def _add(parser: argparse._ActionsContainer, name: str, default: str) -> None:
    """No default of argparse, so that a given flag can be told from one that is not."""
    rules = FIELDS[name].metadata
    help = rules["help"] + default
    if rules["kind"] is bool:
        action = argparse.BooleanOptionalAction
        parser.add_argument(flag(name), dest=name, action=action, default=None, help=help)
    else:
        metavar = "{" + ",".join(rules["choices"]) + "}" if rules["choices"] else None
        parser.add_argument(flag(name), dest=name, default=None, help=help, metavar=metavar)


def given(arguments: argparse.Namespace, names: Iterable[str]) -> dict[str, Any]:
    """Those of these settings that the command line names."""
    found = {name: getattr(arguments, name, None) for name in names}
    return {name: value for name, value in found.items() if value is not None}
