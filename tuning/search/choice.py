"""Choose: finalists on SELECT, one prompt on CONFIRM, and what may be claimed of it."""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from embedder.prompts.prompt import Prompt
from eval.statistics.bounds import betting_bound, mcallester_bound
from eval.statistics.one_sided import one_sided_test, sums_of_clusters
from eval.statistics.significance import Interval, Outcomes, mean_interval, outcomes
from tuning.search.split import detectable_gain
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
        interval: of the difference at 95 %, from units; None of a single unit.
        p: one-sided, by sign flips of units; on SELECT adjusted for all finalists.
        outcomes: queries won, tied, lost.
        worst: mean difference of the WORST queries that lose most.
        bound: the mean gain is above it with probability 1 - delta (betting), of units that are
            independent.
        mcallester: the same by McAllester.
        differences: query id -> difference.
        units: queries that are nearly one query count once; 0 in outcomes of old runs.
        detectable: smallest true gain that such a test accepts with probability .8, at the
            spread that was seen.
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
    units: int = 0
    detectable: float = math.inf

    @property
    def gain(self) -> float:
        """Mean difference."""
        return self.mean - self.default

    def order(self, alpha: float) -> tuple[float, float]:
        """Sort by this: of those that are surely better the best first, then what is surest."""
        return max(self.p, alpha), -self.gain

    def accepted(self, rules: Rules, p: float | None = None) -> bool:
        """Tell whether it is better by enough, and surely; by a p of more than these queries."""
        sure = (self.p if p is None else p) <= rules.alpha
        return sure and self.gain > 0 and self.gain >= rules.min_effect

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
            "prompted": self.proposal.prompted,
            "default": self.default,
            "mean": self.mean,
            "gain": self.gain,
            "interval": asdict(self.interval) if self.interval else None,
            "p": self.p,
            **asdict(self.outcomes),
            "worst": self.worst,
            "bound": self.bound,
            "mcallester": self.mcallester,
            "units": self.units,
            "detectable": self.detectable if math.isfinite(self.detectable) else None,
            "differences": self.differences,
        }


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the verdict hangs on.

    Attributes:
        statistic: what was tested, for people.
        p: one-sided.
        accepted: p is at most alpha, and the gain is large enough.
    """

    statistic: str
    p: float
    accepted: bool


@dataclass(frozen=True, slots=True)
class Sample:
    """Queries, each with the number of its unit."""

    query_ids: tuple[str, ...]
    units: tuple[int, ...]


def measure_gain(
    proposal: Proposal,
    query_ids: Sequence[str],
    pair: tuple[Scores, Scores],
    rules: Rules,
    units: Sequence[int] | None = None,
) -> PromptGain:
    """Compare a prompt with the default.

    Args:
        proposal: the prompt.
        query_ids: of the scores.
        pair: the prompt's and the default's scores.
        rules: seed and delta.
        units: of each query; by default each is a unit of its own.
    """
    scores, base = pair
    differences = scores - base
    numbers = units if units is not None else range(len(differences))
    sums = sums_of_clusters(differences[:, None], numbers)[:, 0]
    sizes = sums_of_clusters(np.ones((len(differences), 1)), numbers)[:, 0]
    means = np.clip(sums / sizes, -1, 1)  # rounding
    shares = sums * len(sums) / len(differences)  # their mean is that of the queries
    spread = float(shares.std(ddof=1)) if len(sums) > 1 else math.inf
    return PromptGain(
        proposal=proposal,
        default=float(base.mean()),
        mean=float(scores.mean()),
        interval=mean_interval([shares], np.random.default_rng([rules.seed, 3])),
        p=float(one_sided_test(sums[:, None], np.random.default_rng([rules.seed, 2]), FLIPS)[0]),
        outcomes=outcomes(differences),
        worst=float(np.sort(differences)[:WORST].mean()),
        bound=betting_bound(means, rules.delta),
        mcallester=mcallester_bound(means, rules.delta),
        differences=dict(zip(query_ids, differences.tolist(), strict=True)),
        units=len(sums),
        detectable=detectable_gain(len(sums), rules.alpha, spread),
    )


def finalists(ranked: Sequence[Scored], default: Scored, rules: Rules) -> list[Proposal]:
    """Take the best on SEARCH that are above the default: wordings, and the best baseline."""
    above = [
        result.proposal
        for result in ranked
        if result.mean > default.mean and result.proposal.prompt != default.proposal.prompt
    ]
    baselines = [proposal for proposal in above if not proposal.prompted][:1]
    room = max(1, rules.finalists - len(baselines))
    chosen = [proposal for proposal in above if proposal.prompted][:room] + baselines
    return sorted(chosen, key=above.index)[: rules.finalists]


def select(
    candidates: Sequence[Proposal],
    sample: Sample,
    score: Callable[[Prompt], Scores],
    default: Prompt,
    rules: Rules,
) -> tuple[list[PromptGain], Proposal | None]:
    """Rank finalists on SELECT; return their gains, and the one for CONFIRM or None.

    A wording goes before a baseline, which needs none, unless the baseline is surely better than
    the default and the wording is not surely better than the baseline.
    """
    base = score(default)
    rows = [score(proposal.prompt) for proposal in candidates]
    adjusted = _test(np.column_stack([row - base for row in rows]), sample, rules)
    gains = [
        replace(measure_gain(proposal, sample.query_ids, (row, base), rules, sample.units), p=p)
        for proposal, row, p in zip(candidates, rows, adjusted, strict=True)
    ]
    order = sorted(range(len(gains)), key=lambda at: gains[at].order(rules.alpha))
    above = [at for at in order if gains[at].gain > 0]
    words = next((at for at in above if candidates[at].prompted), None)
    plain = next((at for at in above if not candidates[at].prompted), None)
    if words is None or plain is None:
        return gains, candidates[above[0]] if above else None
    alone, ahead = (
        _test((rows[at] - other)[:, None], sample, rules)[0]
        for at, other in ((plain, base), (words, rows[plain]))
    )
    stands = alone <= rules.alpha < ahead
    return gains, candidates[plain if stands else words]


def decide(confirmed: PromptGain, selected: PromptGain | None, rules: Rules) -> Judgement:
    """Judge the one candidate, by CONFIRM and by what SELECT told of it.

    Two stages whose p-values are joined by the inverse normal, with weights that their sizes give
    (Bauer & Koehne, Biometrics 1994; Lehmacher & Wassmer, Biometrics 1999). Choosing by the first
    stage is paid for there: its p is adjusted for all finalists, so whichever goes on errs with
    probability at most alpha (Bretz et al., Biometrical Journal 2006).

    Args:
        confirmed: of the candidate on CONFIRM.
        selected: of the candidate on SELECT; None where that was scored by another measure.
        rules: alpha.
    """
    if selected is None:
        return Judgement("of CONFIRM", confirmed.p, confirmed.accepted(rules))
    p = joined_p((selected.p, confirmed.p), (selected.units, confirmed.units))
    return Judgement("of SELECT and CONFIRM together", p, confirmed.accepted(rules, p))


def joined_p(p_values: tuple[float, float], sizes: tuple[int, int]) -> float:
    """Join independent p-values by the inverse normal, weighted by the roots of sizes."""
    from scipy.special import ndtr, ndtri

    joined = sum(
        math.sqrt(size / sum(sizes)) * float(ndtri(p))
        for p, size in zip(p_values, sizes, strict=True)
    )
    return float(ndtr(joined)) if not math.isnan(joined) else 1.0


def _test(differences: Scores, sample: Sample, rules: Rules) -> list[float]:
    """Test columns of differences together, by unit."""
    sums = sums_of_clusters(differences, sample.units)
    return [*map(float, one_sided_test(sums, np.random.default_rng([rules.seed, 2]), FLIPS))]
