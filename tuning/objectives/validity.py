"""Does a signal without judgements order prompts as judgements do? If not, it is refused."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from embedder.types import Float64Array
from eval.statistics.significance import Interval

THRESHOLD = 0.3
RESAMPLES = 2000


@dataclass(frozen=True, slots=True)
class Validity:
    """A signal beside the truth, over the same prompts.

    Attributes:
        signal: name.
        prompts: how many.
        tau: Kendall's tau-b of the two orders; None where one of them is no order.
        interval: of tau at 95 %, prompts drawn anew; None of fewer than 4 prompts.
    """

    signal: str
    prompts: int
    tau: float | None
    interval: Interval | None

    @property
    def usable(self) -> bool:
        """Whether it may serve as an objective; else it breaks ties at most."""
        return self.tau is not None and self.tau >= THRESHOLD

    def check(self) -> None:
        """Refuse a signal that does not order prompts as judgements do.

        Raises:
            ValueError: tau is below THRESHOLD, or there is none.
        """
        if not self.usable:
            order = "no order" if self.tau is None else f"tau {self.tau:.2f}"
            raise ValueError(
                f"{self.signal} orders {self.prompts} prompts unlike judgements ({order}, at least "
                f"{THRESHOLD} is needed); tune on judged queries, or on another signal"
            )


def rows(results: Sequence[Validity]) -> list[list[str]]:
    """Return a table for reports: signal, prompts, tau, its interval, and whether it is usable."""
    return [
        [
            result.signal,
            f"{result.prompts:,}",
            "no order" if result.tau is None else f"{result.tau:+.2f}",
            f"[{result.interval.low:+.2f}, {result.interval.high:+.2f}]" if result.interval else "",
            "yes" if result.usable else "refused",
        ]
        for result in results
    ]


def validity(
    signals: Mapping[str, Sequence[float]], truth: Sequence[float], seed: int = 0
) -> list[Validity]:
    """Compare what signals say of prompts with the truth.

    Args:
        signals: name -> mean of each prompt.
        truth: mean of each prompt by judgements, in the same order.
        seed: of what is drawn.

    Raises:
        ValueError: a signal has another number of prompts.
    """
    target = np.asarray(truth, dtype=np.float64)
    results = []
    for name, values in signals.items():
        means = np.asarray(values, dtype=np.float64)
        if means.shape != target.shape:
            raise ValueError(f"{name} tells of {len(means)} prompts, the truth of {len(target)}")
        results.append(
            Validity(name, len(means), _tau(means, target), _interval(means, target, seed))
        )
    return results


def _tau(first: Float64Array, second: Float64Array) -> float | None:
    from scipy.stats import kendalltau

    value = float(kendalltau(first, second).statistic) if len(first) > 1 else float("nan")
    return None if np.isnan(value) else value


def _interval(first: Float64Array, second: Float64Array, seed: int) -> Interval | None:
    if len(first) < 4:
        return None
    rng = np.random.default_rng(seed)
    drawn = (rng.integers(0, len(first), len(first)) for _ in range(RESAMPLES))
    taus = [tau for at in drawn if (tau := _tau(first[at], second[at])) is not None]
    if not taus:
        return None
    low, high = np.quantile(taus, [0.025, 0.975])
    return Interval(float(low), float(high), 0.95)
