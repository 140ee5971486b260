"""Measure what the sign-flip test and the interval promise, on pairs of systems that are simulated.

python -m benchmarks.statistics [--pairs 1000] [--dry]

Two systems rank the same documents of the same queries: the score of a document is what both see,
plus relevance, plus noise of each system's own; nDCG@10 is computed from the ranks. Values are thus
bounded, many are 0 or 1, and many tie. Systems that are alike have no difference in the population;
of a better one with more noise, whose differences are skewed, the difference is measured on a
population of queries. "three sets" is the macro average over three kinds of queries.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.record import append
from eval.statistics.significance import mean_interval, sign_flip_test

SIZES = (50, 150, 300)
FALSE_POSITIVES = (0.03, 0.07)
COVERAGE = (0.93, 0.97)
_DOCUMENTS = 40  # that compete for ten ranks
_POPULATION = 20  # draws of 20,000 queries
_ALPHA = 0.05

Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of queries, and two systems that answer them.

    Attributes:
        name: what it is like.
        relevant: queries have 1 to this many relevant documents.
        signal: how far relevant documents stand out, in standard deviations of the others.
        noise: standard deviation of what each system has of its own.
        more_signal: what the second system has more.
        noise_factor: how much noisier the second system is.
    """

    name: str
    relevant: int
    signal: float
    noise: float
    more_signal: float = 0.0
    noise_factor: float = 1.0


ALIKE = (
    Kind("one answer", 1, 2.5, 0.5),
    Kind("a few answers", 5, 1.5, 0.5),
    Kind("many answers", 20, 0.7, 0.5),
    Kind("near copies", 1, 2.5, 0.12),
)


def main() -> None:
    """Simulate every kind at every size and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=1000, help="pairs of systems of each line")
    parser.add_argument("--dry", action="store_true", help="append nothing to results.jsonl")
    options = parser.parse_args()
    console = Console()
    output = Table("systems", "queries", "tied", "p <= .05", "covered", "width", "within")
    for name, kinds, sizes in track([*settings()], console=console):
        figures = measure(kinds, sizes, options.pairs)
        line = {"name": f"statistics/{name}", "queries": list(sizes), "pairs": options.pairs}
        if not options.dry:
            append({**line, **figures})
        output.add_row(name, "+".join(map(str, sizes)), *cells(figures))
    console.print(output)


def settings() -> Iterator[tuple[str, tuple[Kind, ...], tuple[int, ...]]]:
    """Yield name, kinds of queries and their numbers; one kind each but for the macro average."""
    for kind in ALIKE:
        for size in SIZES:
            yield f"alike, {kind.name}", (kind,), (size,)
    yield "alike, three sets", ALIKE[:3], SIZES
    for kind in ALIKE:
        better = replace(kind, more_signal=0.5, noise_factor=2.0)
        for size in SIZES:
            yield f"better, {kind.name}", (better,), (size,)


def measure(kinds: tuple[Kind, ...], sizes: tuple[int, ...], pairs: int) -> dict[str, object]:
    """Simulate pairs of systems; return how often they differ at .05 and the interval holds."""
    rng = np.random.default_rng(0)
    alike = all(kind.more_signal == 0 and kind.noise_factor == 1 for kind in kinds)
    truth = 0.0 if alike else population(kinds[0])
    significant, covered, tied, widths = 0, 0, [], []
    for _ in range(pairs):
        strata = [differences(kind, n, rng) for kind, n in zip(kinds, sizes, strict=True)]
        parts = np.concatenate([stratum / (len(stratum) * len(strata)) for stratum in strata])
        significant += sign_flip_test(parts, rng).p <= _ALPHA
        interval = mean_interval(strata, rng)
        assert interval is not None
        covered += interval.low <= truth <= interval.high
        tied.append(np.mean(parts == 0))
        widths.append(interval.high - interval.low)
    return {
        "difference": truth,
        "share_tied": float(np.mean(tied)),
        "share_p_below_05": significant / pairs,
        "goal_p_below_05": FALSE_POSITIVES if alike else None,
        "share_covered": covered / pairs,
        "goal_covered": COVERAGE,
        "width_median": float(np.median(widths)),
    }


def population(kind: Kind) -> float:
    """Return the mean difference over 400,000 queries; its standard error is below .001."""
    rng = np.random.default_rng(1)
    return float(np.mean([differences(kind, 20_000, rng).mean() for _ in range(_POPULATION)]))


def differences(kind: Kind, n: int, rng: np.random.Generator) -> Values:
    """Draw n queries and return what the second system has more of nDCG@10 on each: (n,)."""
    answers = rng.integers(1, kind.relevant + 1, n)
    relevant = np.arange(_DOCUMENTS) < answers[:, None]  # (n, documents)
    ease = rng.normal(size=(n, 1))  # of the query
    seen = rng.normal(size=(n, _DOCUMENTS))  # by both systems
    values = []
    for more, factor in ((0.0, 1.0), (kind.more_signal, kind.noise_factor)):
        own = kind.noise * factor * rng.normal(size=(n, _DOCUMENTS))
        values.append(ndcg(seen + own + relevant * (ease + kind.signal + more), relevant))
    return np.asarray(values[1] - values[0])


def ndcg(scores: Values, relevant: NDArray[np.bool_]) -> Values:
    """Return nDCG@10 with gains of 0 and 1, of scores (n, documents): (n,)."""
    best = np.argsort(-scores, axis=1)[:, :10]
    discounts = 1 / np.log2(np.arange(10) + 2)
    ideal = np.cumsum(discounts)[np.minimum(relevant.sum(axis=1), 10) - 1]
    return np.asarray(np.take_along_axis(relevant, best, 1) @ discounts / ideal)


def cells(figures: dict[str, object]) -> list[str]:
    """Lay out a line of the table."""
    numbers = {name: value for name, value in figures.items() if isinstance(value, float)}
    positive, covered = numbers["share_p_below_05"], numbers["share_covered"]
    within = COVERAGE[0] <= covered <= COVERAGE[1]
    if figures["goal_p_below_05"]:
        within = within and FALSE_POSITIVES[0] <= positive <= FALSE_POSITIVES[1]
    shares = [f"{value:.3f}" for value in (numbers["share_tied"], positive, covered)]
    return [*shares, f"{numbers['width_median']:.3f}", "yes" if within else "NO"]


if __name__ == "__main__":
    main()
