"""Finalists, searches and differences whose worth is known, judged as `tune` does and otherwise."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eval.statistics.bounds import betting_bound, mcallester_bound
from eval.statistics.one_sided import one_sided_test
from eval.statistics.significance import holm, mean_interval, sign_flip_test
from tuning.search.choice import joined_p
from tuning.search.split import FOLD_SHARES

ALPHA = 0.05
FLIPS = 1_000
Draws = NDArray[np.float64]
Record = dict[str, Any]
Lines = Iterator[tuple[str, Callable[[int, int], Record]]]

LAWS: dict[str, tuple[Callable[[np.random.Generator, int], Draws], float]] = {
    "normal": (lambda rng, n: rng.normal(0, 0.2, n), 0.0),
    "skewed down": (lambda rng, n: 1 - 2 * rng.beta(1, 8, n), 7 / 9),
    "skewed up": (lambda rng, n: 2 * rng.beta(1, 8, n) - 1, -7 / 9),
    "binary": (lambda rng, n: rng.choice([-1.0, 0, 1], n, p=[0.1, 0.8, 0.1]), 0.0),
    "rare losses": (lambda rng, n: np.where(rng.random(n) < 0.03, -0.97, 0.03), 0.0),
    "rare gains": (lambda rng, n: np.where(rng.random(n) < 0.03, 0.97, -0.03), 0.0),
}
SKEWED = tuple(law for law in LAWS if law != "normal")


def gate_lines() -> Lines:
    """Yield sizes of SELECT and CONFIRM, gains and finalists; all differences have sd .2."""
    for size, gain in ((202, 0.02), (56, 0.05), (32, 0.05)):
        for finalists, good in ((4, 0), (4, 1), (4, 2), (4, 4), (2, 1), (1, 1)):
            name = f"{size}/{size}, {good} of {finalists} gain {gain:+.2f}"
            yield name, partial(measure_gates, (size, gain), (finalists, good))


def measure_gates(what: tuple[int, float], mix: tuple[int, int], runs: int, seed: int) -> Record:
    """Judge finalists in four ways; differences share the default's noise, half of all."""
    size, gain = what
    finalists, good = mix
    rng = np.random.default_rng([seed, size, finalists, good])
    worth = np.where(np.arange(finalists) < good, gain, 0.0)
    found: dict[str, list[bool]] = {}
    gains = []
    for _ in range(runs):
        select, confirm = (
            rng.normal(worth, 0.2 / 2**0.5, (size, finalists))
            - rng.normal(0, 0.2 / 2**0.5, (size, 1))
            for _ in range(2)
        )
        first = one_sided_test(select, rng, FLIPS)
        best = int(np.argmin(first - 1e-9 * select.mean(axis=0)))
        chosen = confirm[:, best]
        second = float(one_sided_test(chosen[:, None], rng, FLIPS)[0])
        pooled = one_sided_test(np.vstack([select, confirm]), rng, FLIPS).min()
        above = select[:, best].mean() > 0
        two_sided = min(holm([sign_flip_test(each, rng, FLIPS).p for each in select.T]))
        joined = joined_p((float(first[best]), second), (size, size))
        passed = {
            "two gates": two_sided <= ALPHA and 2 * second <= ALPHA,
            "CONFIRM alone": above and second <= ALPHA,
            "joined (used)": above and chosen.mean() > 0 and joined <= ALPHA,
            "all finalists on both": pooled <= ALPHA,
        }
        for gate, yes in passed.items():
            found.setdefault(gate, []).append(bool(yes))
        gains.append(chosen.mean() - worth[best])
    return {gate: float(np.mean(each)) for gate, each in found.items()} | {
        "bias of the gain": float(np.mean(gains))
    }


def fold_lines() -> Lines:
    """Yield numbers of queries and what is good among 40 prompts."""
    for law in ("normal", "skewed"):
        for size in (30, 60, 76):
            for gain, good in ((0.0, 0), (0.05, 4), (0.1, 1)):
                name = f"{law}, {size} queries, {good} of 40 gain {gain:+.2f}"
                yield name, partial(measure_folds, (law, size), (gain, good))


def measure_folds(what: tuple[str, int], mix: tuple[float, int], runs: int, seed: int) -> Record:
    """Search for the best mean, and judge it by folds in a circle, and by growing ones.

    Worth: the true gain of what is named, 0 where nothing is, in the mean: by the last search (as
    `tune` does), or by one more on all queries. Bias: of the named prompt's gain on the last fold.
    """
    law, size = what
    gain, good = mix
    rng = np.random.default_rng([seed, size, good])
    worth = np.where(np.arange(40) < good, gain, 0.0)
    circle, even = [], []
    used: list[tuple[bool, float, float, float]] = []
    for _ in range(runs):
        if law == "normal":
            drawn = rng.normal(0, 0.14, (size, 40)) - rng.normal(0, 0.14, (size, 1))
        else:
            drawn = 0.2 * (1 - rng.exponential(1, (size, 40)))
        drawn[:, :good] += gain
        parts = np.array_split(np.arange(size), 4)
        out = np.zeros((size, 1))
        for part in parts:
            others = np.delete(drawn, part, axis=0).mean(axis=0)
            if others.max() > 0:
                out[part, 0] = drawn[part, others.argmax()]
        circle.append(one_sided_test(out, rng, FLIPS)[0] <= ALPHA)
        even.append(_growing(drawn, (0.25,) * 4, rng)[0])
        taken, named, own = _growing(drawn, FOLD_SHARES, rng)
        refit = int(drawn.mean(axis=0).argmax())
        used.append((taken, taken * worth[named], taken * worth[refit], own - worth[named]))
    shares = np.mean(used, axis=0).tolist()
    return {
        "in a circle": float(np.mean(circle)),
        "growing, even": float(np.mean(even)),
        **dict(zip(("growing (used)", "its worth", "worth by refit", "bias"), shares, strict=True)),
    }


def _growing(
    drawn: Draws, shares: Sequence[float], rng: np.random.Generator
) -> tuple[bool, int, float]:
    """Judge searches by growing folds; return if one is taken, which, and its gain on the last."""
    edges = np.rint(np.cumsum(shares) * len(drawn)).astype(int)
    later, named, own = [], 0, 0.0
    for at, (begin, end) in enumerate(itertools.pairwise(edges), 1):
        named = int(drawn[:begin].mean(axis=0).argmax())
        own = float(drawn[begin:end, named].mean())
        later.append(drawn[begin:end, named] * at**0.5)
    p = one_sided_test(np.concatenate(later)[:, None], rng, FLIPS)[0]
    return bool(p <= ALPHA and own > 0), named, own


def limit_lines() -> Lines:
    """Yield laws of differences whose mean is 0, and sizes."""
    for law in LAWS:
        for size in (8, 15, 25, 60, 200):
            yield f"{law}, {size} units", partial(measure_limits, law, size)


def measure_limits(law: str, size: int, runs: int, seed: int) -> Record:
    """Return how often the test takes noise for gain, and how often the interval holds the mean."""
    draw, mean = LAWS[law]
    rng = np.random.default_rng([seed, size])
    accepted, plain, covered = [], [], []
    for _ in range(runs):
        drawn = draw(rng, size) - mean
        accepted.append(one_sided_test(drawn[:, None], rng, FLIPS)[0] <= ALPHA)
        plain.append(sign_flip_test(drawn, rng, FLIPS).p <= 2 * ALPHA and drawn.mean() > 0)
        interval = mean_interval([drawn], rng)
        assert interval is not None
        covered.append(interval.low <= 0 <= interval.high)
    return {
        "accepted": float(np.mean(accepted)),
        "accepted by the sum": float(np.mean(plain)),
        "95 % interval holds": float(np.mean(covered)),
    }


def certificate_lines() -> Lines:
    """Yield laws of differences and sizes."""
    for law in (*SKEWED, "normal"):
        for size in (25, 60, 200):
            yield f"{law}, {size} units", partial(measure_certificate, law, size)


def measure_certificate(law: str, size: int, runs: int, seed: int) -> Record:
    """Return how often the bound is above the mean, and where it lies."""
    draw, mean = LAWS[law]
    rng = np.random.default_rng([seed, size])
    samples = [draw(rng, size) for _ in range(runs)]
    if law == "normal":  # of a gain of .03
        samples, mean = [(0.03 + 0.75 * each).clip(-1, 1) for each in samples], 0.03
    bounds = np.array([betting_bound(each) for each in samples])
    return {
        "true mean": mean,
        "above it": float(np.mean(bounds > mean + 1e-12)),
        "median bound": float(np.median(bounds)),
        "McAllester": float(np.median([mcallester_bound(each) for each in samples])),
    }
