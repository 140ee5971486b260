"""Choose: finalists on SELECT, one prompt on CONFIRM, and what may be claimed of it."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from embedder.prompts.prompt import Prompt
from eval.statistics.significance import (
    Interval,
    Outcomes,
    holm,
    mean_interval,
    outcomes,
    sign_flip_test,
)
from tuning.search.bounds import betting_bound, mcallester_bound
from tuning.search.types import Proposal, Rules, Scored, Scores

FLIPS = 10_000
WORST = 10  # queries that lose most


@dataclass(frozen=True, slots=True)
class PromptGain:
    """A prompt against the default on queries that played no part in finding it.

    Attributes:
        proposal: the prompt.
        default: mean of the default.
        mean: of the prompt.
        interval: of the difference at 95 %; None of a single query.
        p: two-sided, by sign flips; corrected by Holm among finalists.
        outcomes: queries won, tied, lost.
        worst: mean difference of the WORST queries that lose most.
        bound: the mean gain is above it with probability 1 - delta (betting).
        mcallester: the same by McAllester.
        differences: query id -> difference.
    """

    proposal: Proposal
    default: float
    mean: float
    interval: Interval | None
    p: float
    outcomes: Outcomes
    worst: float
    bound: float
    mcallester: float
    differences: dict[str, float] = field(repr=False)

    @property
    def gain(self) -> float:
        """Mean difference."""
        return self.mean - self.default

    def accepted(self, rules: Rules) -> bool:
        """Tell whether it is better by enough, and surely."""
        return self.p <= rules.alpha and self.gain > 0 and self.gain >= rules.min_effect

    def cells(self) -> tuple[str, ...]:
        """Return the row of a table: prompt, gain, interval, p and lower bound."""
        interval = self.interval
        return (
            self.proposal.title,
            f"{self.gain:+.4f}",
            f"{interval.low:+.4f}..{interval.high:+.4f}" if interval else "-",
            f"{self.p:.2g}",
            f"{self.bound:+.3f}",
        )

    def to_json(self) -> dict[str, Any]:
        """Return all figures, unrounded."""
        return {
            "made_by": self.proposal.made_by,
            "how": self.proposal.how,
            "default": self.default,
            "mean": self.mean,
            "gain": self.gain,
            "interval": asdict(self.interval) if self.interval else None,
            "p": self.p,
            **asdict(self.outcomes),
            "worst": self.worst,
            "bound": self.bound,
            "mcallester": self.mcallester,
            "differences": self.differences,
        }


def measure_gain(
    proposal: Proposal,
    query_ids: Sequence[str],
    pair: tuple[Scores, Scores],
    rules: Rules,
) -> PromptGain:
    """Compare a prompt with the default, given (prompt's, default's) scores of the queries."""
    scores, base = pair
    differences = scores - base
    return PromptGain(
        proposal=proposal,
        default=float(base.mean()),
        mean=float(scores.mean()),
        interval=mean_interval([differences], np.random.default_rng([rules.seed, 3])),
        p=sign_flip_test(differences, np.random.default_rng([rules.seed, 2]), FLIPS).p,
        outcomes=outcomes(differences),
        worst=float(np.sort(differences)[:WORST].mean()),
        bound=betting_bound(differences, rules.delta),
        mcallester=mcallester_bound(differences, rules.delta),
        differences=dict(zip(query_ids, differences.tolist(), strict=True)),
    )


def finalists(ranked: Sequence[Scored], default: Scored, rules: Rules) -> list[Proposal]:
    """Take the best on SEARCH that are above the default; the best baseline is among them."""
    above = [
        result
        for result in ranked
        if result.mean > default.mean and result.proposal.prompt != default.proposal.prompt
    ]
    chosen = above[: rules.finalists]
    baseline = next((result for result in above if not result.proposal.prompted), None)
    if baseline is not None and baseline not in chosen:
        chosen[-1] = baseline
    return [result.proposal for result in chosen]


def select(
    candidates: Sequence[Proposal],
    query_ids: Sequence[str],
    score: Callable[[Prompt], Scores],
    default: Prompt,
    rules: Rules,
) -> tuple[list[PromptGain], Proposal | None]:
    """Test finalists on SELECT; return their gains, and the one for CONFIRM or None.

    Of those that are accepted the one with the highest lower bound is taken, except that a prompt
    must be significantly better than a baseline that needs none.
    """
    base = score(default)
    rows = [score(proposal.prompt) for proposal in candidates]
    raw = [
        measure_gain(proposal, query_ids, (row, base), rules)
        for proposal, row in zip(candidates, rows, strict=True)
    ]
    corrected = holm([gain.p for gain in raw])
    gains = [replace(gain, p=p) for gain, p in zip(raw, corrected, strict=True)]
    accepted = [at for at, gain in enumerate(gains) if gain.accepted(rules)]
    if not accepted:
        return gains, None
    best = max(accepted, key=lambda at: (gains[at].bound, gains[at].gain, -at))
    plain = [at for at in accepted if not candidates[at].prompted]
    if plain and candidates[best].prompted:
        rival = max(plain, key=lambda at: gains[at].bound)
        rng = np.random.default_rng([rules.seed, 4])
        if sign_flip_test(rows[best] - rows[rival], rng, FLIPS).p > rules.alpha:
            best = rival
    return gains, candidates[best]
