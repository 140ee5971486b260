"""Lower bounds on the gain of a prompt on queries that nobody has seen.

Differences between two prompts lie in -1..1, one for each query, drawn independently. A bound is
wrong with probability at most `delta`, whatever their distribution.
"""

import math

import numpy as np
from numpy.typing import NDArray

GRID = 400  # candidate means between -1 and 1
HALF = 0.5  # of the largest bet that cannot be ruined


def betting_bound(differences: NDArray[np.float64], delta: float = 0.05) -> float:
    """Bound the mean from below by betting against each candidate mean.

    Waudby-Smith & Ramdas, Estimating means of bounded random variables by betting (JRSS B 2024):
    the wealth of a gambler who bets that differences exceed m is a nonnegative martingale if
    they do not, so it reaches 1/delta with probability at most delta (Ville). Bets follow the
    mean and variance of what came before (their plug-in rule), so the order must not hang on the
    values. The bound is the smallest m that is not refuted.

    Args:
        differences: (n,) in -1..1, in an order that was fixed beforehand.
        delta: probability of a bound that is too high.
    """
    _check(differences, delta)
    values = (differences + 1) / 2
    n = len(values)
    index = np.arange(1, n + 1)
    means = (0.5 + np.cumsum(values)) / (index + 1)
    variances = (0.25 + np.cumsum((values - means) ** 2)) / (index + 1)
    before = np.concatenate([[0.25], variances[:-1]])
    bets = np.sqrt(2 * math.log(1 / delta) / (n * before))
    refuted = 0.0
    for m in np.linspace(0, 1, GRID + 1)[1:-1]:
        placed = np.minimum(bets, HALF / m)
        wealth = np.cumsum(np.log1p(placed * (values - m)))
        if wealth.max() < math.log(1 / delta):
            break
        refuted = float(m)
    return 2 * refuted - 1


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
