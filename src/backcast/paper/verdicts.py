"""What our runs say about the paper's claims: one of three outcomes, and the numbers behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from backcast.paper.experiment import Claim, Experiment, Found, Published
from backcast.paper.outcomes import NOT_MEASURED, SMOKE, Outcome, Outcomes, comparable, outcomes
from backcast.paper.statistics import Spread, paired, spread

Answer = Literal["agrees", "disagrees", "not decided at this scale"]


@dataclass(frozen=True)
class Verdict:
    """A claim, and our answer.

    difference  of the two cells, paired by seed, in points of accuracy in favour of the one that the paper calls
                better; None without a seed that both have on the same rows
    published   the same difference in the paper, None where it does not print both
    reason      why it is not decided; empty where it is
    cells       the checksums of the two: a claim made twice counts once
    digits      after the decimal point, in `ours`
    """

    claim: Claim
    answer: Answer
    difference: Spread | None
    published: Published | None
    reason: str
    cells: tuple[str, str]
    digits: int

    @property
    def said(self) -> str:
        """The answer in words: a question of our own is answered with yes or no."""
        if self.claim.ours:
            return {"agrees": "yes", "disagrees": "no"}.get(self.answer, self.answer)
        return self.answer

    @property
    def ours(self) -> str:
        """The difference in words: "+3.1 points (95 % interval +1.0 to +5.2, 5 pairs)"; a dash without a pair."""
        if self.difference is None:
            return "–"
        found = self.difference
        mean = f"{found.mean:+.{self.digits}f} points"
        if found.low is None or found.high is None:
            return f"{mean} (1 pair, so no interval)"
        interval = f"{found.low:+.{self.digits}f} to {found.high:+.{self.digits}f}"
        return f"{mean} (95 % interval {interval}, {found.count} pairs)"

    @property
    def theirs(self) -> str:
        """The paper's difference with the digits it has there: "+16.9 points"; a dash where it does not print both."""
        if self.published is None:
            return "–"
        value = round(self.published.value, 2)
        text = f"{value:+.1f}" if value == round(value, 1) else f"{value:+.2f}"
        return f"{'~' if self.published.approximate else ''}{text} points"


def verdicts(experiment: Experiment, found: Found) -> list[Verdict]:
    """One for every claim, in their order."""
    all_outcomes = outcomes(experiment, found)
    return [_verdict(experiment, claim, all_outcomes) for claim in experiment.claims]


def counts(all_verdicts: Sequence[Verdict]) -> str:
    """How the paper's claims and our questions came out, as sentences; two claims about the same runs count once."""
    papers = {one.cells: one for one in all_verdicts if not one.claim.ours}
    ours = {one.cells: one for one in all_verdicts if one.claim.ours and one.cells not in papers}
    sentences = [
        *_counted([*papers.values()], "claims of the paper, our runs agree with", "disagree with"),
        *_counted([*ours.values()], "questions of our own, our runs say yes to", "no to"),
    ]
    if not sentences:
        return "None of these experiments is about a claim."
    once = "Two about the same runs count once."
    sign = "An answer is about the sign of a difference, not its size."
    chance = (
        "Each is a 95 % interval by itself (Student's t: with few seeds it may reach beyond what accuracies can be): "
        "of so many answers, a few are wrong by chance."
    )
    return " ".join([*sentences, once, sign, chance])


def _counted(found: Sequence[Verdict], what: str, not_so: str) -> list[str]:
    """One sentence; none where there is nothing to count."""
    if not found:
        return []
    answers = [one.answer for one in found]
    agree, disagree = answers.count("agrees"), answers.count("disagrees")
    alone = sum(one.difference is None or one.difference.low is None for one in found)
    why = f", {alone} of them without two seeds to compare" if alone else ""
    undecided = len(found) - agree - disagree
    return [f"Of {len(found)} {what} {agree}, {not_so} {disagree} and leave {undecided} undecided{why}."]


def _verdict(experiment: Experiment, claim: Claim, found: Outcomes) -> Verdict:
    better, worse = found[claim.better], found[claim.worse]
    answer, difference, reason = _answer(experiment, better, worse)
    published = _published(experiment, better, worse)
    cells = better.cell.checksum, worse.cell.checksum
    digits = 1 if experiment.quantity == "accuracy" else 2
    return Verdict(claim, answer, difference, published, reason, cells, digits)


def _answer(experiment: Experiment, better: Outcome, worse: Outcome) -> tuple[Answer, Spread | None, str]:
    """The answer, the difference behind it, and the reason where it is not decided."""
    undecided: Answer = "not decided at this scale"
    if not comparable(better.runs, worse.runs):
        return undecided, None, "they had different rows"
    one, other = (better, worse) if experiment.quantity == "accuracy" else (worse, better)
    difference = spread(paired(one.values, other.values))
    if difference is None or difference.low is None or difference.high is None:
        return undecided, difference, _missing(experiment, better, worse)
    if difference.low > 0:
        return "agrees", difference, ""
    if difference.high < 0:
        return "disagrees", difference, ""
    return undecided, difference, "the interval contains zero"


def _missing(experiment: Experiment, better: Outcome, worse: Outcome) -> str:
    if experiment.scale == SMOKE:
        return NOT_MEASURED
    absent = [f"{one.row} / {one.column}: {one.status}" for one in (better, worse) if not one.values]
    return "; ".join(absent) or "fewer than two seeds that both have"


def _published(experiment: Experiment, better: Outcome, worse: Outcome) -> Published | None:
    """The paper's difference in favour of `better`. An ablation's numbers are losses already, its first row's is 0."""
    one, other = better.published, worse.published
    if experiment.form == "ablation":
        first = experiment.rows[0]
        one, other = (
            Published(0.0) if outcome.row == first else outcome.published for outcome in (better, worse)
        )
    if one is None or other is None:
        return None
    lower_is_better = experiment.form == "ablation" or experiment.quantity == "error"
    sign = -1 if lower_is_better else 1
    return Published(sign * (one.value - other.value), one.approximate or other.approximate)
