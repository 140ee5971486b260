"""Test, interval and effect size of the differences between two systems, item by item."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

EXACT = 20  # differences that are not zero; 2**19 sums are counted in milliseconds
FLIPS = 100_000
RESAMPLES = 10_000
ROUNDING = 1e-12  # of a sum, relative to the sum of absolute values: sums this close are equal
_TOGETHER = 300_000  # numbers drawn at a time: as many as a processor's cache holds

Differences = NDArray[np.float64]
"""(n,) values of the system less those of the baseline, item by item."""


@dataclass(frozen=True, slots=True)
class SignFlip:
    """Outcome of a two-sided sign-flip test.

    Attributes:
        p: probability of a sum at least as far from 0 if neither system were better.
        exact: all sign patterns were counted.
        flips: sign patterns that were counted.
    """

    p: float
    exact: bool
    flips: int

    def __post_init__(self) -> None:
        _check_probability(self.p)


@dataclass(frozen=True, slots=True)
class Interval:
    """Where the mean difference of the population lies, with confidence `level` in 0..1."""

    low: float
    high: float
    level: float

    def __post_init__(self) -> None:
        if not self.low <= self.high:
            raise ValueError(f"an interval goes from low to high; got {self.low} to {self.high}")


@dataclass(frozen=True, slots=True)
class Outcomes:
    """On how many items the system has more than the baseline, as much, and less."""

    wins: int
    ties: int
    losses: int


def sign_flip_test(
    differences: Differences, generator: np.random.Generator, flips: int = FLIPS
) -> SignFlip:
    """Test whether a system differs from the baseline: flip the sign of each difference at random.

    If neither is better, each could have had the other's value (Fisher, The Design of
    Experiments 1935, chapter III; Smucker, Allan, Carterette, CIKM 2007, for retrieval). Counts
    how often the sum is at least as far from 0 as observed: over all patterns where at most
    EXACT differences are not 0, else over `flips` random ones and the observed one,
    p = (b + 1) / (flips + 1) (Phipson, Smyth, SAGMB 2010). A test of the sum is one of the mean;
    to test a weighted mean, weigh the differences.

    Args:
        differences: (n,) finite.
        generator: of the patterns.
        flips: random patterns, at least 1.
    """
    _check(differences)
    if flips < 1:
        raise ValueError(f"a random test needs at least 1 flip; got {flips}")
    nonzero = differences[differences != 0]
    # A sum as far from 0 as the observed one must not be lost to rounding.
    threshold = abs(float(nonzero.sum())) - ROUNDING * float(np.abs(nonzero).sum())
    if len(nonzero) <= EXACT:
        sums = _all_sums(np.abs(nonzero))
        p = np.count_nonzero(np.abs(sums) >= threshold) / len(sums)
        return SignFlip(p, True, 2 ** len(nonzero))
    count = sum(
        int(np.count_nonzero(np.abs(2.0 * (halves @ nonzero) - nonzero.sum()) >= threshold))
        for halves in _random_halves(len(nonzero), generator, flips)
    )
    return SignFlip((count + 1) / (flips + 1), False, flips)


def mean_interval(
    strata: Sequence[Differences],
    generator: np.random.Generator,
    level: float = 0.95,
    weights: Sequence[float] | None = None,
) -> Interval | None:
    """Estimate the mean of the strata's mean differences by a bootstrap within each stratum.

    The mean plus and minus the percentile of resampled deviations from it in either direction
    (Hall, On Symmetric Bootstrap Confidence Intervals, JRSS B 1988): where systems differ on few
    items, percentiles of each side alone follow chance. Expanded for what small samples lack as
    Hesterberg has it (The American Statistician 2015): deviations are scaled by sqrt(n / (n - 1))
    and the tails are those of Student's t, for several strata with the degrees of freedom of
    Welch (Biometrika 1947). `python -m benchmarks.statistics` measures what it covers.

    Args:
        strata: (n,) finite differences of each data set, often only one.
        generator: of the samples.
        level: confidence, above 0 and below 1.
        weights: of the strata's means, which sum to 1; by default all alike.

    Returns:
        The interval, symmetric; None where a stratum has only one item, which tells of no spread.
    """
    if not 0 < level < 1:
        raise ValueError(f"confidence is above 0 and below 1, e.g. 0.95; got {level}")
    for stratum in strata:
        _check(stratum)
    if min(len(stratum) for stratum in strata) < 2:
        return None
    shares = np.array(weights or [1 / len(strata)] * len(strata))
    sizes = np.array([len(stratum) for stratum in strata])
    mean = float(shares @ [stratum.mean() for stratum in strata])
    noise = shares**2 * [stratum.var(ddof=1) for stratum in strata] / sizes  # variance of the mean
    if not noise.any():
        return Interval(mean, mean, level)
    tails = _widened_tails(noise, sizes, level)
    deviations = shares @ [_deviations(stratum, generator) for stratum in strata]  # (RESAMPLES,)
    reach = float(np.quantile(np.abs(deviations), 1 - tails))
    return Interval(mean - reach, mean + reach, level)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust the p-values of a family by Holm's step-down (Scand. J. Statist. 1979).

    Rejecting what is adjusted to at most alpha errs once or more with probability at most
    alpha, however the tests depend on each other.

    Returns:
        Adjusted p-values in the order given.
    """
    for p in p_values:
        _check_probability(p)
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for rank, at in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[at]))
        adjusted[at] = highest
    return adjusted


def effect_size(differences: Differences) -> float | None:
    """Return the mean in units of the differences' standard deviation, Cohen's d of pairs.

    d_z in Statistical Power Analysis for the Behavioral Sciences (1988), section 2.3.5: how far
    the mean stands out of the spread, however many items there are. 0 where all differences are
    0; None where it is not defined: one item, or the same difference everywhere.
    """
    _check(differences)
    if not differences.any():
        return 0.0
    if len(differences) < 2 or np.ptp(differences) <= ROUNDING * np.abs(differences).max():
        return None
    return float(differences.mean() / differences.std(ddof=1))


def outcomes(differences: Differences) -> Outcomes:
    """Count the items on which the system wins, ties and loses."""
    _check(differences)
    wins, losses = np.count_nonzero(differences > 0), np.count_nonzero(differences < 0)
    return Outcomes(int(wins), len(differences) - int(wins + losses), int(losses))


def _widened_tails(noise: NDArray[np.float64], sizes: NDArray[np.int64], level: float) -> float:
    """Return the share of resampled deviations outside an interval, by Student's t and Welch."""
    from scipy.special import ndtr, stdtrit

    freedom = noise.sum() ** 2 / (noise**2 / (sizes - 1)).sum()
    return float(2 * ndtr(stdtrit(freedom, (1 - level) / 2)))


def _all_sums(magnitudes: Differences) -> Differences:
    """Sum under every sign pattern; the first sign stays: flipping all only flips the sum."""
    sums = magnitudes[:1] if len(magnitudes) else np.zeros(1)
    for magnitude in magnitudes[1:]:
        sums = np.concatenate([sums + magnitude, sums - magnitude])
    return sums


def _random_halves(
    n: int, generator: np.random.Generator, flips: int
) -> Iterator[NDArray[np.float64]]:
    """Draw which differences keep their sign: parts of (flips, n), of 0 and 1."""
    rows = max(1, _TOGETHER // n)
    for start in range(0, flips, rows):
        shape = min(rows, flips - start), math.ceil(n / 8)
        coins = generator.integers(0, 256, shape, np.uint8)  # eight coins each
        yield np.unpackbits(coins, axis=1, count=n).astype(np.float64)


def _deviations(stratum: Differences, generator: np.random.Generator) -> Differences:
    """Draw (RESAMPLES,) means of samples as large as the stratum, less its own mean."""
    n = len(stratum)
    widened = (stratum - stratum.mean()) * math.sqrt(n / (n - 1))
    rows = max(1, _TOGETHER // n)
    return np.concatenate(
        [
            widened[generator.integers(0, n, (min(rows, RESAMPLES - start), n))].mean(axis=1)
            for start in range(0, RESAMPLES, rows)
        ]
    )


def _check(differences: Differences) -> None:
    if differences.ndim != 1 or not len(differences) or not np.isfinite(differences).all():
        raise ValueError(
            "differences are a row of at least one finite number; got shape "
            f"{differences.shape}, {np.count_nonzero(~np.isfinite(differences))} not finite"
        )


def _check_probability(p: float) -> None:
    if not 0 <= p <= 1:
        raise ValueError(f"a p-value is in 0..1; got {p}")
