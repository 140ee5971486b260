"""The certificate is seldom wrong, and says something at sizes that people have."""

from collections.abc import Callable

import numpy as np
import pytest

from eval.statistics.bounds import betting_bound, mcallester_bound

Draw = Callable[[np.random.Generator, int], np.ndarray]
LAWS: dict[str, tuple[Draw, float]] = {
    "rare losses": (lambda rng, n: np.where(rng.random(n) < 0.03, -0.97, 0.03), 0.0),
    "rare gains": (lambda rng, n: np.where(rng.random(n) < 0.03, 0.97, -0.03), 0.0),
    "skewed down": (lambda rng, n: 1 - 2 * rng.beta(1, 8, n), 1 - 2 / 9),
    "skewed up": (lambda rng, n: 2 * rng.beta(1, 8, n) - 1, 2 / 9 - 1),
    "mostly ties": (lambda rng, n: rng.choice([-1.0, 0, 0.5], n, p=[0.04, 0.86, 0.1]), 0.01),
}


@pytest.mark.parametrize("n", [25, 60])
@pytest.mark.parametrize("law", LAWS)
def test_the_certificate_covers(law: str, n: int) -> None:
    """150 samples: above the true mean in at most five per cent and three sigma."""
    draw, mean = LAWS[law]
    rng = np.random.default_rng([7, n])
    samples = [draw(rng, n) for _ in range(150)]
    bounds = np.array([betting_bound(each) for each in samples])
    assert (bounds <= [each.mean() + 1e-9 for each in samples]).all()
    assert np.mean(bounds > mean) <= 0.05 + 3 * (0.05 * 0.95 / 150) ** 0.5


def test_the_certificate_says_something() -> None:
    """Of 56 differences around .03 it said -.08 and of 200 -.01: it began too wide."""
    rng = np.random.default_rng(0)
    few = [betting_bound(rng.normal(0.03, 0.15, 56).clip(-1, 1)) for _ in range(40)]
    many = [betting_bound(rng.normal(0.03, 0.15, 200).clip(-1, 1)) for _ in range(40)]
    assert np.median(few) > -0.05 and np.median(many) >= 0


def test_copies_make_the_certificate_too_sure() -> None:
    """Ten copies of each query: of queries it is wrong too often, of units as often as it says."""
    rng = np.random.default_rng(3)
    drawn = [rng.normal(0, 0.3, 12).clip(-1, 1) for _ in range(100)]
    assert np.mean([betting_bound(np.repeat(each, 10)) > 0 for each in drawn]) > 0.1
    assert np.mean([betting_bound(each) > 0 for each in drawn]) <= 0.05


TWICE = 2 * 0.95 / (20**0.5 - 0.05) - 1  # two bets of .95 / m: (1 + .95 (1 - m) / m)^2 = 20


@pytest.mark.parametrize(
    ("values", "bound"),
    [([-1.0] * 5, -1), ([1.0], -1), ([1.0] * 2, TWICE), ([0.0] * 25, -0.12)],
)
def test_edges_of_the_certificate(values: list[float], bound: float) -> None:
    assert -1 <= betting_bound(np.array(values)) <= max(values)
    assert betting_bound(np.array(values)) == pytest.approx(bound, abs=0.005)


def test_betting_is_tighter_than_mcallester() -> None:
    drawn = np.random.default_rng(0).normal(0.03, 0.15, 300).clip(-1, 1)
    assert mcallester_bound(drawn) < betting_bound(drawn) < drawn.mean()


def test_mcallester_by_hand() -> None:
    """Four differences of 1/2: 1/2 - 2 sqrt(ln(2 * 2 / .05) / 8)."""
    expected = 0.5 - 2 * (np.log(80) / 8) ** 0.5
    assert mcallester_bound(np.full(4, 0.5)) == pytest.approx(max(-1, expected))
