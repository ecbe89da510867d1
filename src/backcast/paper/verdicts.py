"""What our runs say of the paper's claims: one of three outcomes, and the numbers behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from backcast.paper.experiment import Claim, Experiment, Found, Published
from backcast.paper.outcomes import NOT_MEASURED, SMOKE, Outcome, outcomes
from backcast.paper.statistics import Spread, paired, spread

Answer = Literal["agrees", "disagrees", "not decided at this scale"]


@dataclass(frozen=True)
class Verdict:
    """A claim, and our answer.

    difference  of the two cells, paired by seed, in points of accuracy in favour of the one that the paper calls
                better; None without a seed that both have
    published   the same difference in the paper, None where it does not print both
    reason      why it is not decided; empty where it is
    """

    claim: Claim
    answer: Answer
    difference: Spread | None
    published: Published | None
    reason: str = ""

    @property
    def ours(self) -> str:
        """The difference in words: "+3.1 points (95 % interval +1.0 to +5.2, 5 pairs)"; a dash without a pair."""
        if self.difference is None:
            return "–"
        found = self.difference
        if found.low is None or found.high is None:
            return f"{found.mean:+.1f} points (1 pair, so no interval)"
        return f"{found.mean:+.1f} points (95 % interval {found.low:+.1f} to {found.high:+.1f}, {found.count} pairs)"

    @property
    def theirs(self) -> str:
        """The paper's difference: "+16.9 points"; a dash where it does not print both."""
        if self.published is None:
            return "–"
        return f"{'~' if self.published.approximate else ''}{self.published.value:+.1f} points"


def verdicts(experiment: Experiment, found: Found) -> list[Verdict]:
    """One for every claim, in their order."""
    all_outcomes = outcomes(experiment, found)
    return [_verdict(experiment, claim, all_outcomes) for claim in experiment.claims]


def counts(all_verdicts: Sequence[Verdict]) -> str:
    """ "Of 3 claims of the paper our runs agree with 1, …", and of ours, as sentences."""
    sentences = []
    for ours, what in (
        (False, "claims of the paper our runs agree with"),
        (True, "questions of ours our runs say yes to"),
    ):
        answers = [verdict.answer for verdict in all_verdicts if verdict.claim.ours == ours]
        if answers:
            agree, disagree = answers.count("agrees"), answers.count("disagrees")
            rest = len(answers) - agree - disagree
            sentences.append(
                f"Of {len(answers)} {what} {agree}, {'disagree with' if not ours else 'no to'} {disagree}, and leave {rest} undecided."
            )
    if not sentences:
        return "None of these experiments is about a claim."
    return " ".join(
        [
            *sentences,
            "Each interval is a 95 % one of its own: of many such answers a few are wrong by chance.",
        ]
    )


def _verdict(experiment: Experiment, claim: Claim, found: dict[tuple[str, str], Outcome]) -> Verdict:
    better, worse = found[claim.better], found[claim.worse]
    published = _published(experiment, better, worse)
    if experiment.quantity == "accuracy":
        difference = spread(paired(better.values, worse.values))
    else:
        difference = spread(paired(worse.values, better.values))
    if difference is None or difference.low is None or difference.high is None:
        return Verdict(
            claim, "not decided at this scale", difference, published, _missing(experiment, better, worse)
        )
    if difference.low > 0:
        return Verdict(claim, "agrees", difference, published)
    if difference.high < 0:
        return Verdict(claim, "disagrees", difference, published)
    return Verdict(claim, "not decided at this scale", difference, published, "the interval contains zero")


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
