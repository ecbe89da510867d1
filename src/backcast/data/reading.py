"""How files are to be read: what the user says about columns and elements."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from backcast.errors import InputError, nearest

X_COLUMNS, TEXT_COLUMNS = ("x", "image", "img", "audio"), ("text",)
LABEL, ID = "label", "id"
INDEX = re.compile(r"|Unnamed: \d+|__index_level_\d+__")  # what pandas makes of an index that has no name
COLUMN_OPTIONS = ("id", "x", "text", "label", "time", "wide", "header")
KINDS = ("auto", "real", "symbols", "characters", "bytes")


@dataclass(frozen=True)
class Reading:
    """Options of all readers; each uses those that apply to it.

    kind          `auto`, `real`, `symbols`, `characters` or `bytes`
    id, label     columns (default: `id` and `label`, where they exist)
    x             columns of elements, separated by commas or as a list: several are the channels (default: `x`, or the column of
                  pictures or sounds); in a wide table the columns of the steps, in a long one the features
                  (default: all that are left)
    text          column of texts (default: `text`)
    time          column of times: the table is long, one row per step
    wide          one column per step
    header        False: a CSV file has no header; columns are called 1, 2, 3 …
    fill_missing  a missing value becomes the last known one before it, or the training rows' mean where there is none
    side          pictures are scaled to side × side
    labels        False: they are not needed, so their column may be absent
    """

    kind: str = "auto"
    id: str | None = None
    x: str | None = None
    text: str | None = None
    label: str | None = None
    time: str | None = None
    wide: bool = False
    header: bool = True
    fill_missing: bool = False
    side: int | None = None
    labels: bool = True

    def __post_init__(self) -> None:
        """Raises InputError for an unknown kind, an option that names no column, two that exclude each other, and a side below 1."""
        object.__setattr__(self, "x", joined(self.x))
        if self.kind not in KINDS:
            raise InputError(f"--kind {self.kind}: it must be one of {', '.join(KINDS)}")
        for option in ("id", "x", "text", "label", "time"):
            given = getattr(self, option)
            if given is not None and (not isinstance(given, str) or not split(given)):
                raise InputError(f"--{option} {given!r} names no column")
        for one, other in (("x", "text"), ("wide", "text"), ("wide", "time"), ("time", "text")):
            if getattr(self, one) and getattr(self, other):
                raise InputError(f"--{one} and --{other} exclude each other")
        if self.side is not None and self.side < 1:
            raise InputError(f"--side {self.side}: pictures need at least one pixel")

    def require_table(self, data: str, is_table: Callable[[], bool] = lambda: False) -> None:
        """Raises InputError where an option is only for tables, and `data` is none."""
        for option in COLUMN_OPTIONS:
            if getattr(self, option) not in (None, getattr(Reading, option)) and not is_table():
                flag = "--no-header" if option == "header" else f"--{option}"
                raise InputError(f"{data}: {flag} is for tables, and this is none; leave it out")

    def chooses(self, name: str) -> bool:
        """Whether a column of this name would be read, or asked about, without being named."""
        if self.x is None and (self.wide or self.time is not None):
            return True
        elements = self.x is None and self.text is None and name in (*X_COLUMNS, *TEXT_COLUMNS)
        return elements or (self.id is None and name == ID) or (self.label is None and name == LABEL)


@dataclass(frozen=True)
class Columns:
    """Which columns of a table mean what."""

    id: str | None
    label: str | None
    elements: tuple[str, ...]
    is_text: bool

    @property
    def all(self) -> list[str]:
        named = (self.id, self.label, *self.elements)
        return list(dict.fromkeys(name for name in named if name is not None))


def choose_columns(reading: Reading, names: Sequence[str], table: str) -> Columns:
    """The columns of a table with one row per sequence. Raises InputError where they are unclear."""
    id, label = (
        optional(reading.id, "--id", ID, names, table),
        label_column(reading, names, table),
    )
    if reading.id is None and id in (label, reading.text, *split(reading.x or "")):
        id = None  # a column called `id` that is something else
    if reading.wide:
        return Columns(id, label, features(reading, names, (id, label), table), False)
    if reading.text is not None:
        text = require(reading.text, "--text", names, table)
        require_one_role((id, label, text), table)
        return Columns(id, label, (text,), True)
    if reading.x is not None:
        return Columns(id, label, features(reading, names, (id, label), table), False)
    found = [name for name in (*X_COLUMNS, *TEXT_COLUMNS) if name in names]
    if len(found) > 1:
        raise InputError(
            f"{table}: it has the columns {' and '.join(found)}; say which holds the sequences: --x or --text"
        )
    if not found:
        raise InputError(
            f"{table}: there is no column `x` or `text` in it ({_listed(names)}); name it by --x or --text, "
            "say --wide for one column per step, or --id and --time for one row per step"
        )
    require_one_role((id, label, found[0]), table)
    return Columns(id, label, (found[0],), found[0] in TEXT_COLUMNS)


def features(
    reading: Reading, names: Sequence[str], others: Sequence[str | None], table: str
) -> tuple[str, ...]:
    """The columns of steps or features: those of --x, or all but `others`.

    Raises InputError for what looks like an index, unless --x names it: where rows are ordered by class, it is the label.
    """
    if reading.x is not None:
        named = tuple(require(name, "--x", names, table) for name in split(reading.x))
        require_one_role([*others, *named], table)
        return named
    left = tuple(name for name in names if name not in others)
    alike = next((name for name in left if name.lower() in (ID, LABEL)), None)
    if alike is not None:
        said = reading.id if alike.lower() == ID else reading.label
        what = f"If it is what its name says: --{alike.lower()} {alike}; else" if said is None else "If not,"
        raise InputError(f"{table}: is `{alike}` a step? {what} choose the columns with --x")
    if not left:
        raise InputError(f"{table}: no column is left for the elements ({_listed(names)})")
    index = next((name for name in left if INDEX.fullmatch(name)), None)
    if index is not None:
        called = f"is called `{index}`" if index else "has no name"
        raise InputError(
            f"{table}: column {names.index(index) + 1} {called}; is it the table's index? Save it without (index=False) or "
            "with a name, or choose the features with --x"
        )
    return left


def require_one_role(columns: Sequence[str | None], table: str) -> None:
    """Raises InputError where one column is to be two things: a label among the elements gives itself away."""
    named = [name for name in columns if name is not None]
    twice = next((name for name in named if named.count(name) > 1), None)
    if twice is not None:
        raise InputError(
            f"{table}: the column `{twice}` is named twice, among --id, --label, --time, --x and --text"
        )


def optional(given: str | None, option: str, default: str, names: Sequence[str], table: str) -> str | None:
    """The column that was named, or the default one where it exists."""
    if given is not None:
        return require(given, option, names, table)
    return default if default in names else None


def label_column(reading: Reading, names: Sequence[str], table: str) -> str | None:
    """The column of the labels; None where there is none and none is needed."""
    if reading.labels:
        return optional(reading.label, "--label", LABEL, names, table)
    name = reading.label or LABEL
    return name if name in names else None


class NoColumn(InputError):
    """A column is not there. `option` named it; `plain` is the message without the nearest name."""

    def __init__(self, plain: str, option: str, hint: str) -> None:
        super().__init__(plain + hint)
        self.plain, self.option = plain, option


def require(name: str, option: str, names: Sequence[str], table: str) -> str:
    """`name`, which must be a column. Raises NoColumn, which suggests the nearest one."""
    if name not in names:
        plain = f"{table}: there is no column `{name}` ({option}); {_listed(names)}"
        raise NoColumn(plain, option, nearest(name, names))
    return name


def joined(names: Any) -> Any:
    """Several columns, as YAML and Python name them, as the one text that `split` takes apart; all else as it is."""
    return ",".join(map(str, names)) if isinstance(names, (list, tuple)) else names


def split(names: str) -> list[str]:
    return [name.strip() for name in names.split(",") if name.strip()]


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(map(str, names[:12]))
    return f"its columns are {shown}" + (f", … {len(names)} in all" if len(names) > 12 else "")
