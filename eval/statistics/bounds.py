"""Lower bounds on the gain of a prompt on queries that nobody has seen.

Differences between two prompts lie in -1..1, one for each unit of queries, drawn independently. A
bound is wrong with probability at most `delta`, whatever their distribution. Of queries that rise
and fall together and stand as units of their own, it is wrong more often.
"""

import math

import numpy as np
from numpy.typing import NDArray

GRID = 500  # candidate means between -1 and the mean
RISK = 0.95  # of what is owned, the most that one difference can take
CAUTION = 0.8  # of the bet that would be best if variances were known
VARIANCE, WORTH = 0.02, 8  # of differences halved, before any is seen; and as many are worth it


def betting_bound(differences: NDArray[np.float64], delta: float = 0.05) -> float:
    """Bound the mean from below by betting against each candidate mean.

    Waudby-Smith & Ramdas, Estimating means of bounded random variables by betting (JRSS B 2024).
    Valid since a gambler whose every bet on "the next difference exceeds m" follows from those
    before has a fair or losing game where the mean is at most m, so that the wealth, never
    negative, reaches 1/delta with probability at most delta (Ville 1939); the bound is the
    smallest m that is not refuted, which is above the mean only if the mean itself is refuted.
    Each bet aims at 1/delta from what is owned in the differences that are left (after Voracek &
    Orabona, STaR-Bets, 2025), by the variance of those before, and stops there.

    Args:
        differences: (n,) in -1..1, in an order that does not hang on their values.
        delta: probability of a bound that is too high.
    """
    _check(differences, delta)
    values = (differences + 1) / 2
    if not values.any():
        return -1.0
    n, target = len(values), math.log(1 / delta)
    means = np.linspace(0, values.mean(), GRID + 1)[1:]  # no bound is above the mean
    most = RISK / means
    wealth = np.zeros(GRID)  # its logarithm
    before = VARIANCE * WORTH, WORTH / 2  # sums of squares and of values
    for at, value in enumerate(values.tolist()):
        squares, total = before
        aim = np.maximum(target - wealth, 0) / ((n - at) * squares / (WORTH + at))
        wealth += np.log1p(np.minimum(CAUTION * np.sqrt(2 * aim), most) * (value - means))
        total += value
        before = squares + (value - total / (WORTH + at + 1)) ** 2, total
    open_ = np.flatnonzero(wealth < target)
    first = int(open_[0]) if len(open_) else GRID
    return float(2 * means[first - 1] - 1) if first else -1.0


def mcallester_bound(
    differences: NDArray[np.float64], delta: float = 0.05, log_prior: float = 0.0
) -> float:
    """Bound the mean from below as McAllester does for a posterior on one point (COLT 1999).

    mean - 2 sqrt((ln(1/prior) + ln(2 sqrt(n) / delta)) / (2 n)), for a range of 2.

    Args:
        differences: (n,) in -1..1.
        delta: probability of a bound that is too high.
        log_prior: ln of the candidate's prior probability, at most 0: 0 for one candidate that
            was chosen without these queries.
    """
    _check(differences, delta)
    if log_prior > 0:
        raise ValueError(f"the logarithm of a probability is at most 0; got {log_prior}")
    n = len(differences)
    slack = (-log_prior + math.log(2 * math.sqrt(n) / delta)) / (2 * n)
    return max(-1.0, float(differences.mean()) - 2 * math.sqrt(slack))


def _check(differences: NDArray[np.float64], delta: float) -> None:
    if not len(differences) or not (np.abs(differences) <= 1).all():
        raise ValueError("a certificate needs differences in -1..1, at least one")
    if not 0 < delta < 1:
        raise ValueError(f"delta is a probability above 0 and below 1; got {delta}")
