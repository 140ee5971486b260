"""Test whether systems are better than a baseline, one-sided, several at once."""

from collections.abc import Hashable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from eval.statistics.significance import EXACT, FLIPS, ROUNDING

_TOGETHER = 300_000  # numbers drawn at a time: as many as a processor's cache holds
_ROWS = 8192  # patterns that are looked at together
_BEND = 2.0  # of the skewness that is seen: small samples show about half of what there is
_FLAT = 1e-12  # of a mean square: a spread below it is rounding

DifferenceRows = NDArray[np.float64]


def one_sided_test(
    differences: DifferenceRows, generator: np.random.Generator, flips: int = FLIPS
) -> DifferenceRows:
    """Test of each system whether it is better than the baseline: flip all signs of an item.

    The statistic is Student's t after Hall's transformation (JRSS B 1992), which takes out what
    skewness of the differences (twice as much as is seen) does to it: where a system loses rarely
    but much, t alone is large too often. If differences are symmetric about 0, the test is exact
    whatever the statistic (Fisher 1935). Systems are tested together by the largest statistic of
    each pattern, so that taking the best of them, or any, errs with probability at most alpha
    (Westfall & Young, Resampling-Based Multiple Testing 1993, section 2.6).

    All patterns are counted where at most EXACT items differ, else `flips` random ones and the
    observed one (Phipson & Smyth, SAGMB 2010). `python -m benchmarks.tuning_power` measures it:
    below 20 items of skewed differences it errs more often than it says, and where losses
    are so rare that a sample may hold none, no test can know of them.

    Args:
        differences: (items, systems) finite, of each system less the baseline.
        generator: of the patterns.
        flips: random patterns, at least 1.

    Returns:
        (systems,) p-values, adjusted for all of them.
    """
    if differences.ndim != 2 or not differences.size or not np.isfinite(differences).all():
        raise ValueError(
            f"differences are finite, (items, systems); got shape {differences.shape}, "
            f"{np.count_nonzero(~np.isfinite(differences))} not finite"
        )
    if flips < 1:
        raise ValueError(f"a random test needs at least 1 flip; got {flips}")
    kept = differences[differences.any(axis=1)]
    statistic = _Statistic(kept, len(differences))
    observed = statistic(kept.sum(axis=0), (kept**3).sum(axis=0))
    observed -= np.where(np.isfinite(observed), 1e-9 * np.maximum(1, np.abs(observed)), 0)
    count = np.zeros(differences.shape[1])
    if len(kept) <= EXACT:
        sums, cubes = _all_sums(kept), _all_sums(kept**3)
        parts = -(-len(sums) // _ROWS)
        for some, cubed in zip(
            np.array_split(sums, parts), np.array_split(cubes, parts), strict=True
        ):
            found = statistic(some, cubed)
            for side in (found, -found):  # as it is, and with all signs flipped
                count += (side.max(axis=1)[:, None] >= observed).sum(axis=0)
        return np.asarray(count / (2 * len(sums)))
    for signs in _random_signs(len(kept), generator, flips):
        above = statistic(signs @ kept, signs @ kept**3).max(axis=1)
        count += (above[:, None] >= observed).sum(axis=0)
    return np.asarray((count + 1) / (flips + 1))


def sums_of_clusters(differences: DifferenceRows, clusters: Sequence[Hashable]) -> DifferenceRows:
    """Add up the differences of each cluster of items, which rise and fall together.

    Sums, so that a test of them is one of the mean over items.

    Args:
        differences: (items, systems).
        clusters: of each item, the cluster that it belongs to.

    Returns:
        (clusters, systems), in the order of their first items.
    """
    if len(clusters) != len(differences):
        raise ValueError(f"{len(differences)} items need as many clusters; got {len(clusters)}")
    place = {cluster: at for at, cluster in enumerate(dict.fromkeys(clusters))}
    sums = np.zeros((len(place), *differences.shape[1:]))
    np.add.at(sums, [place[cluster] for cluster in clusters], differences)
    return sums


class _Statistic:
    """Hall's transformation of Student's t from sums of signed values and of their cubes."""

    def __init__(self, differences: DifferenceRows, items: int) -> None:
        self._items = items
        self._square = (differences**2).sum(axis=0) / items  # no sign changes it

    def __call__(self, sums: DifferenceRows, cubes: DifferenceRows) -> DifferenceRows:
        """Return (patterns, systems) statistics; those of a system without differences are 0."""
        n, square = self._items, self._square
        mean = sums / n
        variance = square - mean**2
        spread = variance > _FLAT * square
        deviation = np.sqrt(np.where(spread, variance, 1.0))
        ratio = mean / deviation
        skewness = (cubes / n - 3 * mean * square + 2 * mean**3) / deviation**3
        skewness *= _BEND
        bent = ratio + skewness * ratio**2 / 3 + skewness**2 * ratio**3 / 27 + skewness / (6 * n)
        flat = np.where(np.abs(mean) > ROUNDING, np.copysign(np.inf, mean), 0.0)
        return np.asarray(np.where(spread, bent, flat))


def _all_sums(values: DifferenceRows) -> DifferenceRows:
    """Sum the rows under every sign pattern; the first sign stays, all flipped only flips a sum."""
    sums = values[:1] if len(values) else np.zeros((1, values.shape[1]))
    for row in values[1:]:
        sums = np.concatenate([sums + row, sums - row])
    return sums


def _random_signs(n: int, generator: np.random.Generator, flips: int) -> Iterator[DifferenceRows]:
    """Draw signs: parts of (flips, n), of -1 and 1."""
    rows = max(1, _TOGETHER // n)
    for start in range(0, flips, rows):
        coins = generator.integers(0, 256, (min(rows, flips - start), -(-n // 8)), np.uint8)
        yield np.unpackbits(coins, axis=1, count=n).astype(np.float64) * 2 - 1
