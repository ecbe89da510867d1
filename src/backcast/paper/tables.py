"""An experiment as tables in the paper's form, ours above the paper's, and as Markdown."""

from __future__ import annotations

from dataclasses import dataclass

from backcast.errors import plural
from backcast.paper.experiment import Experiment, Published, of_paper
from backcast.paper.outcomes import NOT_MEASURED, SMOKE, Outcome, Outcomes, most_seeds
from backcast.paper.published import LENGTHS, PUBLISHED, PUBLISHED_WORDS
from backcast.paper.statistics import Spread, spread


@dataclass(frozen=True)
class Line:
    """A row of a table: its name and one text per column; `paper` where the numbers are the paper's."""

    name: str
    cells: tuple[str, ...]
    paper: bool = False


@dataclass(frozen=True)
class Table:
    title: str
    columns: tuple[str, ...]
    lines: tuple[Line, ...]


def tables(experiment: Experiment, found: Outcomes) -> list[Table]:
    """The experiment's table, or tables."""
    if experiment.form == "ablation":
        return [_ablation(experiment, found)]
    shown = [_values(experiment, found)]
    if experiment.form == "against length":
        shown.append(_seconds(experiment, found))
    return shown


def markdown(table: Table) -> str:
    """The table in Markdown, under its title."""
    lines = [["", *table.columns], *([line.name, *line.cells] for line in table.lines)]
    escaped = ["| " + " | ".join(text.replace("|", "\\|") for text in line) + " |" for line in lines]
    rule = "|---|" + "---:|" * len(table.columns)
    return "\n".join([f"**{table.title}**", "", escaped[0], rule, *escaped[1:]])


def reasons(found: Outcomes) -> list[str]:
    """Why runs have no number, one line per reason and cell."""
    lines = []
    for outcome in found.values():
        seeds: dict[tuple[str, str], list[int]] = {}
        for run in outcome.failures:
            seeds.setdefault((run.status, " ".join(run.reason.split()) or "no reason given"), []).append(
                run.seed
            )
        for (status, reason), those in seeds.items():
            numbers = ", ".join(map(str, those))
            lines.append(
                f"{outcome.row} / {outcome.column}, {plural(len(those), 'seed')} {numbers}: {status}: {reason}"
            )
    return list(dict.fromkeys(lines))


def published_text(published: Published | None) -> str:
    """A number of the paper, ~ where it is read off a plot."""
    if published is None:
        return "–"
    value = published.value
    if published.approximate:
        return f"~{value:g}"
    return f"{value:,.1f}" if round(value, 1) == value else f"{value:,.2f}"


def _values(experiment: Experiment, found: Outcomes) -> Table:
    most = most_seeds(found)
    digits = 1 if experiment.quantity == "accuracy" else 2
    lines = _lengths(experiment) if experiment.form == "against length" else []
    for row in experiment.rows:
        line = [found.get((row, column)) for column in experiment.columns]
        if any(line):
            lines.append(Line(row, tuple(_text(one, most, digits) for one in line)))
        if any(one and len(one.values) > 1 for one in line):
            lines.append(Line("95 % interval", tuple(_bounds(one, digits) for one in line)))
        if any(one and one.published for one in line):
            said = _said(experiment, row, [one.published if one else None for one in line])
            lines.append(Line(f"{of_paper(row)} (paper)", said, paper=True))
    kind = "Accuracy" if experiment.form == "curves" else f"Test {experiment.quantity}"
    return Table(_title(experiment, f"{kind}, %"), experiment.columns, tuple(lines))


def _said(experiment: Experiment, row: str, numbers: list[Published | None]) -> tuple[str, ...]:
    """The paper's line: its numbers, and its words where it has those instead."""
    words = PUBLISHED_WORDS.get(experiment.name, {})
    pairs = zip(experiment.columns, numbers, strict=True)
    return tuple(words.get((row, column), published_text(number)) for column, number in pairs)


def _lengths(experiment: Experiment) -> list[Line]:
    """T of every column: at a small scale it is not the paper's."""
    ours = {cell.column: f"{cell.x:,}" for cell in experiment.cells if cell.x}
    lines = [Line("length T, steps", tuple(ours.get(column, "–") for column in experiment.columns))]
    if experiment.name in PUBLISHED:
        theirs = (f"{LENGTHS[column]:,}" if column in LENGTHS else "–" for column in experiment.columns)
        lines.append(Line("length T, steps (paper)", tuple(theirs), paper=True))
    return lines


def _title(experiment: Experiment, title: str) -> str:
    return title if experiment.scale != SMOKE else f"{title} ({NOT_MEASURED})"


def _seconds(experiment: Experiment, found: Outcomes) -> Table:
    most = max((len(outcome.seconds) for outcome in found.values()), default=0)
    lines: list[Line] = []
    for row in experiment.rows:
        line = [found.get((row, column)) for column in experiment.columns]
        if any(line):
            lines.append(Line(row, tuple(_seconds_text(one, most) for one in line)))
        theirs = [one.published_seconds if one else None for one in line]
        if any(theirs):
            lines.append(Line(f"{of_paper(row)} (paper)", _said(experiment, row, theirs), paper=True))
    return Table(_title(experiment, "Seconds of a training step"), experiment.columns, tuple(lines))


def _ablation(experiment: Experiment, found: Outcomes) -> Table:
    """One line per factor."""
    most, (column,) = most_seeds(found), experiment.columns
    lines = []
    for number, row in enumerate(experiment.rows):
        one = found[row, column]
        theirs = published_text(one.published) if number else "–"
        cells = _text(one, most, 1), _interval(spread(one.losses)), theirs
        lines.append(Line(f"without {row}" if number else row, cells))
    title = f"Loss of test accuracy against {experiment.rows[0]}, paired by seed"
    columns = ("test accuracy, %", "points lost (95 % interval)", "points lost (paper)")
    return Table(_title(experiment, title), columns, tuple(lines))


def _text(outcome: Outcome | None, most: int, digits: int) -> str:
    """Mean ± standard deviation, and the number of seeds where others have more; words where there is no number."""
    if outcome is None:
        return "–"
    values = outcome.spread
    if values is None:
        return _word(outcome)
    text = f"{values.mean:.{digits}f}"
    if values.deviation is not None:
        text += f" ± {values.deviation:.{digits}f}"
    if values.count < most:
        text += f" ({values.count} of {most} seeds)"
    return text


def _bounds(outcome: Outcome | None, digits: int) -> str:
    """The interval of the mean over seeds; a dash where there are fewer than two."""
    values = outcome.spread if outcome else None
    if values is None or values.low is None or values.high is None:
        return "–"
    return f"{values.low:.{digits}f} to {values.high:.{digits}f}"


def _seconds_text(outcome: Outcome | None, most: int) -> str:
    """Mean ± standard deviation, and the number of seeds where others have more; the caption says which were timed."""
    if outcome is None:
        return "–"
    seconds = spread(outcome.seconds)
    if seconds is None:
        return _word(outcome) if not outcome.values else "not measured"
    text = f"{seconds.mean:.3g}" + (f" ± {seconds.deviation:.1g}" if seconds.deviation is not None else "")
    return text if seconds.count == most else f"{text} ({seconds.count} of {most} seeds)"


def _word(outcome: Outcome) -> str:
    """Why there is no number; for a smoke run the title says it once for all cells."""
    return SMOKE if outcome.status == NOT_MEASURED else outcome.status


def _interval(losses: Spread | None) -> str:
    if losses is None:
        return "–"
    if losses.low is None or losses.high is None:
        return f"{losses.mean:+.1f} (one pair)"
    return f"{losses.mean:+.1f} ({losses.low:+.1f} to {losses.high:+.1f})"
