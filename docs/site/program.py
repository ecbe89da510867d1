"""Two directives whose text comes from the program itself: every command with its options, every setting."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from typing import Any

from docutils.nodes import Node
from sphinx.util.docutils import SphinxDirective

from backcast.cli import make_parser
from backcast.config import FIELDS, SMALLEST, flag

NOT_SHOWN = (argparse._HelpAction, argparse._SubParsersAction)


def setup(app: Any) -> dict[str, bool]:
    app.add_directive("commands", Commands)
    app.add_directive("settings", Settings)
    return {"parallel_read_safe": True}


class Commands(SphinxDirective):
    """A section per command: what it does, its arguments and options."""

    def run(self) -> list[Node]:
        return self.parse_text_to_nodes("\n".join(command_lines()), allow_section_headings=True)


class Settings(SphinxDirective):
    """A section per group of settings, with ranges and defaults."""

    def run(self) -> list[Node]:
        return self.parse_text_to_nodes("\n".join(setting_lines()), allow_section_headings=True)


def command_lines() -> list[str]:
    """The commands in Markdown. The flags of `train` that are settings are left to `setting_lines`."""
    settings = {flag(name) for name in FIELDS}
    lines = []
    for name, parser in commands(make_parser()):
        own = [action for action in parser._actions if not isinstance(action, NOT_SHOWN)]
        positional = [action for action in own if not action.option_strings]
        options = [action for action in own if action.option_strings]
        if name == "train":
            options = [action for action in options if action.option_strings[0] not in settings]
        shown = " ".join(_argument(action) for action in positional)
        about = _text(parser.description)
        level = "##" if " " not in name else "###"
        lines += ["", f"{level} backcast {name}", "", f"{about[0].upper()}{about[1:]}.", ""]
        if not own:
            continue
        lines += ["```", f"backcast {name} {shown} [OPTIONS]".replace("  ", " "), "```", ""]
        lines += _table(
            ("", ""), [(f"`{_name(action)}`", _help(action)) for action in (*positional, *options)]
        )
        if name == "train":
            lines += ["", "And every setting below is a flag of `train`."]
    return lines


def setting_lines() -> list[str]:
    """The settings in Markdown."""
    lines = []
    for group in dict.fromkeys(field.metadata["group"] for field in FIELDS.values()):
        rows = []
        for name, field in FIELDS.items():
            rules = field.metadata
            if rules["group"] == group:
                both = f"`{flag(name)}`" if flag(name) != "DATA" else "`DATA`"
                rows.append((both, f"`{_default(field)}`", _range(rules), _text(rules["help"])))
        lines += ["", f"### {group[0].upper()}{group[1:]}", ""]
        lines += _table(("flag", "default", "values", "what it is"), rows)
    return lines


def commands(
    parser: argparse.ArgumentParser, before: str = ""
) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Every command by its full name, followed by its subcommands."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, one in action.choices.items():
                yield before + name, one
                yield from commands(one, f"{before}{name} ")


def _argument(action: argparse.Action) -> str:
    word = str(action.metavar or ("|".join(action.choices) if action.choices else action.dest.upper()))
    return {"?": f"[{word}]", "+": f"{word} ...", "*": f"[{word} ...]"}.get(str(action.nargs), word)


def _name(action: argparse.Action) -> str:
    if not action.option_strings:
        return _argument(action).replace("|", "\\|")
    takes_value = action.nargs != 0
    value = f" {action.metavar or action.dest.upper()}" if takes_value and not action.choices else ""
    choices = "|".join(map(str, action.choices)) if action.choices else ""
    return f"{action.option_strings[0]}{value}{' ' + choices if choices else ''}".replace("|", "\\|")


def _help(action: argparse.Action) -> str:
    return _text((action.help or "").replace("%%", "%"))


def _default(field: Any) -> str:
    if field.default is None or field.default == ():
        return "none"
    return str(field.default).lower() if isinstance(field.default, bool) else str(field.default)


def _range(rules: Any) -> str:
    """What `config._checked` accepts."""
    if rules["choices"]:
        return ", ".join(f"`{choice}`" for choice in rules["choices"])
    if rules["kind"] is bool:
        return "yes or `--no-…`"
    word = {int: "whole number", float: "number", str: "text"}[rules["kind"]]
    low, high = rules["low"], rules["high"]
    if low == SMALLEST:
        word += " above 0" if high is None else f" above 0, at most {high:g}"
    elif low is not None:
        word += f" from {low:g}" if high is None else f", {low:g} to {high:g}"
    return f"{word}s, with commas" if rules["many"] else word


def _text(text: str | None) -> str:
    return (text or "").replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    head = list(head)
    lines = [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)]
    return lines if len(lines) > 2 else []
