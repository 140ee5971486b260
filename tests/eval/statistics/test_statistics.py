"""Test, interval, correction and effect size: by hand, against scipy, and their laws."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from eval.statistics.significance import (
    EXACT,
    Interval,
    Outcomes,
    effect_size,
    holm,
    mean_interval,
    outcomes,
    sign_flip_test,
)

GRID = st.integers(-64, 64).map(lambda number: number / 64)
SMALL = st.lists(GRID, min_size=1, max_size=9)
P_VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=8)


def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def exact_p(differences: list[float]) -> float:
    """Count all sign patterns in fractions, which do not round."""
    values = [Fraction(value) for value in differences]
    far = abs(sum(values, Fraction()))
    sums = [
        abs(sum((sign * value for sign, value in zip(signs, values, strict=True)), Fraction()))
        for signs in itertools.product((1, -1), repeat=len(values))
    ]
    return sum(total >= far for total in sums) / len(sums)


def test_the_exact_test_by_hand() -> None:
    # +-1 +-2 +-4: of the 8 sums only 7 and -7 are as far from 0 as 7, and 4 of 8 as far as 5.
    found = sign_flip_test(np.array([1.0, 2.0, 4.0]), rng())
    assert (found.p, found.exact, found.flips) == (2 / 8, True, 8)
    assert sign_flip_test(np.array([-1.0, 2.0, 4.0]), rng()).p == 4 / 8


@given(SMALL)
def test_the_exact_test_counts_all_patterns(differences: list[float]) -> None:
    assert sign_flip_test(np.array(differences), rng()).p == exact_p(differences)


def test_the_exact_test_is_scipys() -> None:
    differences = rng().normal(0.3, 1, 12)
    theirs = stats.permutation_test(
        (differences, np.zeros(12)), lambda a, b: np.mean(a - b), permutation_type="samples"
    )
    assert sign_flip_test(differences, rng()).p == pytest.approx(theirs.pvalue, abs=1e-15)


def test_sums_that_rounding_moves_apart_are_tied() -> None:
    """0.1 + 0.2 - 0.3 is 5.6e-17 in floats and 0.3 - 0.1 - 0.2 is 0: the same by hand."""
    assert sign_flip_test(np.array([0.1, 0.2, -0.3]), rng()).p == 1.0
    differences = np.array([0.1] * 3 + [0.3] + [0.7] * 4)
    tenths = [1.0] * 3 + [3.0] + [7.0] * 4
    assert sign_flip_test(-differences, rng()).p == exact_p(tenths)


@pytest.mark.parametrize("n", [1, 2, 10, EXACT])
def test_equal_differences_have_the_two_extreme_patterns(n: int) -> None:
    assert sign_flip_test(np.full(n, 0.3), rng()).p == 2 / 2**n


def test_no_difference_has_p_one() -> None:
    assert sign_flip_test(np.zeros(50), rng()).p == 1.0


@given(SMALL, st.integers(0, 30))
def test_signs_order_zeros_and_scale_change_nothing(differences: list[float], zeros: int) -> None:
    values = np.array(differences)
    other = np.concatenate([np.zeros(zeros), -0.37 * values[::-1]])
    assert sign_flip_test(other, rng()).p == sign_flip_test(values, rng()).p


def test_the_random_test_comes_close_to_the_exact_one() -> None:
    differences = np.random.default_rng(1).normal(0.35, 1, EXACT)
    exact = sign_flip_test(differences, rng())
    padded = np.concatenate([differences, [1e-9]])  # one too many to count all patterns
    found = sign_flip_test(padded, rng())
    assert not found.exact and found.flips == 100_000
    error = math.sqrt(exact.p * (1 - exact.p) / found.flips)
    assert abs(found.p - exact.p) < 4 * error
    assert found == sign_flip_test(padded, rng())


def test_the_random_test_never_says_zero() -> None:
    assert sign_flip_test(np.full(200, 1.0), rng(), flips=99).p == 1 / 100
    # 9 coins are drawn as two bytes: those left over must not count.
    many = sign_flip_test(np.full(25, 1.0), rng(), flips=50_000)
    assert many.p == pytest.approx(1 / 50_001, abs=2 / 50_001)


def test_the_interval_is_scipys_but_for_the_expansion() -> None:
    differences = rng().normal(0.1, 0.3, 2000)
    ours = mean_interval([differences], rng())
    theirs = stats.bootstrap((differences,), np.mean, n_resamples=5000, method="percentile", rng=1)
    assert ours is not None
    low, high = theirs.confidence_interval
    assert (ours.low, ours.high) == pytest.approx((low, high), abs=0.001)


@pytest.mark.parametrize("level", [0.8, 0.95])
def test_the_interval_of_normal_differences_is_that_of_student(level: float) -> None:
    differences = np.asarray(stats.norm.ppf((np.arange(20) + 0.5) / 20))
    ours = mean_interval([differences], rng(), level)
    theirs = stats.ttest_1samp(differences, 0).confidence_interval(level)
    assert ours is not None
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.02)


def test_strata_weigh_alike_and_spread_by_their_sizes() -> None:
    strata = [rng().normal(0.2, 1, 400), rng().normal(-0.1, 0.5, 100)]
    found = mean_interval(strata, rng())
    assert found is not None
    mean = float(np.mean([stratum.mean() for stratum in strata]))
    error = math.sqrt(sum(stratum.var(ddof=1) / len(stratum) for stratum in strata)) / 2
    assert (found.low, found.high) == pytest.approx(
        (mean - 1.965 * error, mean + 1.965 * error), abs=0.08 * error
    )


def test_strata_weigh_what_they_are_said_to() -> None:
    strata = [rng().normal(0.2, 1, 60), np.full(5, 0.25)]
    alone = mean_interval(strata[:1], rng())
    weighed = mean_interval(strata, rng(), weights=[0.75, 0.25])
    assert alone is not None and weighed is not None
    assert weighed.low == pytest.approx(0.75 * alone.low + 0.25 * 0.25)
    assert weighed.high == pytest.approx(0.75 * alone.high + 0.25 * 0.25)


def test_the_interval_of_what_does_not_vary() -> None:
    assert mean_interval([np.full(5, 0.25)], rng()) == Interval(0.25, 0.25, 0.95)
    assert mean_interval([np.array([0.25])], rng()) is None
    assert mean_interval([np.zeros(5), np.array([0.25])], rng()) is None


@settings(max_examples=15, deadline=None)
@given(st.lists(GRID, min_size=2, max_size=9))
def test_the_interval_turns_with_the_signs(differences: list[float]) -> None:
    values = np.array(differences)
    found, turned = mean_interval([values], rng()), mean_interval([-values], rng())
    assert found is not None and turned is not None
    assert (found.low, found.high) == pytest.approx((-turned.high, -turned.low), abs=1e-12)


def test_holm_by_hand() -> None:
    # Sorted .01 .02 .03 .04 times 4 3 2 1: .04 .06 .06 .04; never less than one before.
    assert holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.6, 0.5]) == [1.0, 1.0]
    assert holm([]) == []


@given(P_VALUES)
def test_holm_keeps_the_order_and_lies_between_none_and_bonferroni(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    by_p = [adjusted[at] for at in np.argsort(p_values, kind="stable")]
    assert by_p == sorted(by_p)
    for p, after in zip(p_values, adjusted, strict=True):
        assert p <= after <= min(1.0, len(p_values) * p)


@given(P_VALUES, st.floats(0.001, 0.5))
def test_holm_rejects_what_the_steps_reject(p_values: list[float], alpha: float) -> None:
    """The procedure as published: step down the sorted p-values, stop at the first that fails."""
    rejected = set()
    for step, at in enumerate(sorted(range(len(p_values)), key=lambda at: p_values[at])):
        if (len(p_values) - step) * p_values[at] > alpha:
            break
        rejected.add(at)
    assert {at for at, p in enumerate(holm(p_values)) if p <= alpha} == rejected


def test_the_effect_by_hand() -> None:
    assert effect_size(np.array([1.0, 3.0])) == pytest.approx(2 / math.sqrt(2))
    assert effect_size(np.zeros(3)) == 0.0
    assert effect_size(np.array([0.5])) is None
    assert effect_size(np.array([0.1 + 0.2, 0.3])) is None


@given(SMALL.filter(lambda values: len(set(values)) > 1), st.floats(0.01, 100))
def test_the_effect_has_no_unit(differences: list[float], scale: float) -> None:
    values = np.array(differences)
    found, turned = effect_size(values), effect_size(-scale * values)
    assert found is not None and turned == pytest.approx(-found, rel=1e-9, abs=1e-12)


@given(SMALL)
def test_outcomes_count_every_item(differences: list[float]) -> None:
    expected = [
        sum(test) for test in zip(*((d > 0, d == 0, d < 0) for d in differences), strict=True)
    ]
    assert outcomes(np.array(differences)) == Outcomes(*expected)


@pytest.mark.parametrize(
    "differences", [np.zeros(0), np.zeros((2, 2)), np.array([math.nan]), np.array([math.inf, 1])]
)
def test_what_are_no_differences_is_refused(differences: NDArray[np.float64]) -> None:
    for function in (effect_size, outcomes):
        with pytest.raises(ValueError, match="a row of at least one finite number"):
            function(differences)
    with pytest.raises(ValueError, match="finite"):
        sign_flip_test(differences, rng())
    with pytest.raises(ValueError, match="finite"):
        mean_interval([differences], rng())


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 1 flip; got 0"):
        sign_flip_test(np.ones(30), rng(), flips=0)
    for level in (0.0, 1.0, 95.0):
        with pytest.raises(ValueError, match="above 0 and below 1"):
            mean_interval([np.ones(3)], rng(), level)
    for wrong in (-0.1, 1.1, math.nan):
        with pytest.raises(ValueError, match="p-value"):
            holm([0.5, wrong])
