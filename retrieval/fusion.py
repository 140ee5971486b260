"""Fusion: several runs of the same queries become one; pure functions of runs.

In all of them a document that a run did not return gets nothing from that run, a query that only
some runs answered is fused from those alone, and a run of weight 0 takes no part. Nothing is cut.

Scores are counted from a floor, the score that a document might have that the run did not return.
See `_floor`; a returned document always gets something.
"""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Protocol

from retrieval.run import Run, ranked

Fusion = Callable[[Sequence[Run]], Run]
"""Runs in the order of a retriever's channels -> one run."""

LEXICAL = frozenset({"sparse", "bm25", "lucene"})
"""Channels whose scores count common words, by the names that they have in and beside an index."""

MIN_RANGE = 1e-9  # PromptReps' divisor at least: a list of equal scores becomes zeros, not NaN
HALF_FLOOR = 300  # scores of a list of words at which its floor is half of the lowest
LARGEST = 1e100  # of a score: squares of these are finite
EVEN_BEST = math.sqrt(12)  # deviations from the floor to the best of many evenly spread scores


class Weighted(Protocol):
    """A fusion whose runs can be weighted; weights are used as given, in the order of runs."""

    def __call__(self, runs: Sequence[Run], *, weights: Sequence[float] | None = None) -> Run:
        """Fuse runs."""
        ...


def reciprocal_rank(
    runs: Sequence[Run], k: float = 60, weights: Sequence[float] | None = None
) -> Run:
    """Sum weight / (k + rank), ranks from 1 (Cormack, Clarke and Buettcher, SIGIR 2009).

    Equal scores are ranked by id; weights are 1 by default.
    """
    if not k >= 0:
        raise ValueError(f"the constant of reciprocal rank fusion must not be negative; got {k}")

    def parts(scores: Mapping[str, float]) -> dict[str, float]:
        return {doc: 1 / (k + rank) for rank, (doc, _) in enumerate(ranked(scores), start=1)}

    return _summed(runs, _weights(weights, runs, 1), parts)


def min_max(
    runs: Sequence[Run],
    weights: Sequence[float] | None = None,
    lexical: Sequence[bool] | None = None,
) -> Run:
    """Sum weight * (score - floor) / (best - floor) of each returned list.

    The best of a list gets 1, the only one and equal scores among them, and every other more
    than a document that was not found. A higher score never ranks a document lower.

    Args:
        runs: at least one.
        weights: 1 / runs by default.
        lexical: for each run, whether its scores count common words; by default none does.
    """

    def bounded(scores: Mapping[str, float], words: bool) -> dict[str, float]:
        low, high = min(scores.values()), max(scores.values())
        if low == high:
            return dict.fromkeys(scores, 1.0)
        floor = _floor(low, high, len(scores), words)
        return {doc: (score - floor) / (high - floor) for doc, score in scores.items()}

    kinds = [False] * len(runs) if lexical is None else lexical
    parts = [partial(bounded, words=words) for words in kinds]
    return _summed(runs, _weights(weights, runs, 1 / (len(runs) or 1)), *parts)


def promptreps(runs: Sequence[Run], weights: Sequence[float] | None = None) -> Run:
    """Sum weight * (score - min) / (max - min) of each returned list, as PromptReps does.

    To the letter of their program (Zhuang et al., EMNLP 2024), for parity with it: the divisor is
    at least 1e-9, and min and max are those of the whole list, so self matches are dropped
    afterwards. The only document of a list, the last one, and all of equal scores get 0, as if
    they were not found. Weights are 1 / runs by default.
    """

    def parts(scores: Mapping[str, float]) -> dict[str, float]:
        low, high = min(scores.values()), max(scores.values())
        width = max(high - low, MIN_RANGE)
        return {doc: (score - low) / width for doc, score in scores.items()}

    return _summed(runs, _weights(weights, runs, 1 / (len(runs) or 1)), parts)


def z_score(runs: Sequence[Run], weights: Sequence[float] | None = None) -> Run:
    """Sum weight * (score - floor) / deviation of each returned list.

    z-scores, moved so that a document that is not found has that of the floor and not that of
    the mean. Equal scores have no deviation; they get what the best of many evenly spread scores
    would. Weights are 1 / runs by default.
    """

    def parts(scores: Mapping[str, float]) -> dict[str, float]:
        low, high = min(scores.values()), max(scores.values())
        _, deviation = _moments(scores)
        if deviation == 0:
            return dict.fromkeys(scores, EVEN_BEST)
        floor = _floor(low, high, len(scores), words=False)
        return {doc: (score - floor) / deviation for doc, score in scores.items()}

    return _summed(runs, _weights(weights, runs, 1 / (len(runs) or 1)), parts)


def distribution_based(runs: Sequence[Run], weights: Sequence[float] | None = None) -> Run:
    """Sum weight * score, where mean - 3 deviations becomes 0 and mean + 3 deviations becomes 1.

    Distribution-based score fusion (Mazzeschi, 2023). Scores further out leave 0..1 instead of
    being clipped, which would tie the best documents; equal scores become 1/2. Weights are
    1 / runs by default.
    """

    def parts(scores: Mapping[str, float]) -> dict[str, float]:
        mean, deviation = _moments(scores)
        if deviation == 0:
            return dict.fromkeys(scores, 0.5)
        return {doc: 0.5 + (score - mean) / (6 * deviation) for doc, score in scores.items()}

    return _summed(runs, _weights(weights, runs, 1 / (len(runs) or 1)), parts)


FUSIONS: Mapping[str, Weighted] = MappingProxyType(
    {
        "rrf": reciprocal_rank,
        "minmax": min_max,
        "promptreps": promptreps,
        "zscore": z_score,
        "dbsf": distribution_based,
    }
)


DEFAULT = "minmax"
"""Chosen on development queries of four collections, see docs/fusion.md."""


def fusion_by_name(
    text: str, channels: Sequence[str], lexical: Collection[str] = LEXICAL
) -> Fusion:
    """Read a fusion as people write it, e.g. "rrf", "rrf:k=20", "minmax:dense=0.7,sparse=0.3".

    Args:
        text: a name of FUSIONS, then perhaps a weight for every channel, and k for rrf.
        channels: names of the channels, in the order of the runs that will be fused.
        lexical: those among them whose scores count common words.

    Raises:
        ValueError: an unknown name, a setting that is no number, or channels and weights that
            are not the same set.
    """
    name, numbers = split_fusion(text)
    fuse: Callable[..., Run] = FUSIONS[name]
    if name == "rrf" and "k" in numbers and "k" not in channels:
        fuse = partial(fuse, k=numbers.pop("k"))
    if fuse is min_max:
        fuse = partial(fuse, lexical=[channel in lexical for channel in channels])
    if not numbers:
        return fuse
    if set(numbers) != set(channels):
        raise ValueError(
            f"fusion {text!r} must give a weight to every channel or to none; "
            f"the channels are {', '.join(channels)}"
        )
    weights = [numbers[channel] for channel in channels]
    _check_weights(weights, len(channels))
    return partial(fuse, weights=weights)


def split_fusion(text: str) -> tuple[str, dict[str, float]]:
    """Return the name in a fusion as people write it, and its settings: weights, and k for rrf.

    Raises:
        ValueError: an unknown name, or a setting that is no number.
    """
    name, _, written = text.partition(":")
    if name not in FUSIONS:
        raise ValueError(f"no fusion is called {name!r}; there is {', '.join(FUSIONS)}")
    return name, dict(_setting(part, text) for part in written.split(",")) if written else {}


def _setting(part: str, text: str) -> tuple[str, float]:
    name, _, number = part.partition("=")
    try:
        return name.strip(), float(number)
    except ValueError as error:
        raise ValueError(
            f"fusion {text!r}: expected settings like dense=0.5,sparse=0.5; got {part!r}"
        ) from error


def _weights(
    weights: Sequence[float] | None, runs: Sequence[Run], default: float
) -> Sequence[float]:
    if not runs:
        raise ValueError("fusion needs at least one run; got none")
    if weights is None:
        return [default] * len(runs)
    _check_weights(weights, len(runs))
    return weights


def _check_weights(weights: Sequence[float], runs: int) -> None:
    if len(weights) != runs or not all(0 <= weight < math.inf for weight in weights):
        raise ValueError(
            f"fusing {runs} runs needs {runs} finite weights of at least 0; got {list(weights)}"
        )


def _floor(low: float, high: float, count: int, words: bool) -> float:
    """Return the score that a document might have that a list of at least 2 does not hold.

    In general a mean gap below the lowest score. Where scores count common words, one without
    any scores 0, and in a short list that is all that is missing (theoretical min-max of Bruch,
    Gai, Ingber, ACM TOIS 2023); a long one was cut, and what is missing may have scored as much
    as the lowest: the floor goes from 0 to there as the list grows.
    """
    gap = low - (high - low) / (count - 1)
    return min(gap, low * (count - 1) / (count - 1 + HALF_FLOOR)) if words else gap


def _are_finite(scores: Collection[float]) -> bool:
    """Tell whether scores are numbers within LARGEST; at least one."""
    total = sum(scores)  # shows NaN, by which nothing can be compared
    return total - total == 0 and -LARGEST <= min(scores) <= max(scores) <= LARGEST


def _moments(scores: Mapping[str, float]) -> tuple[float, float]:
    """Return the mean and the population standard deviation; exactly 0 for equal scores."""
    values = list(scores.values())
    if min(values) == max(values):
        return values[0], 0.0
    mean = math.fsum(values) / len(values)
    return mean, math.sqrt(math.fsum((value - mean) ** 2 for value in values) / len(values))


def _summed(
    runs: Sequence[Run],
    weights: Sequence[float],
    *parts: Callable[[Mapping[str, float]], dict[str, float]],
) -> Run:
    """Add weight * parts(list) over the runs, query by query; an empty list adds nothing.

    Args:
        runs: to be fused.
        weights: one for each run.
        parts: one for each run, or one for all.
    """
    fused: Run = {query_id: {} for run in runs for query_id in run}
    part_of_runs = parts * len(runs) if len(parts) == 1 else parts
    for run, weight, part_of in zip(runs, weights, part_of_runs, strict=True):
        for query_id, scores in run.items():
            if not scores or weight == 0:
                continue
            if not _are_finite(scores.values()):
                raise ValueError(
                    f"scores of query {query_id!r} hold NaN or infinity, or one beyond {LARGEST:g}"
                )
            total = fused[query_id]
            for doc_id, part in part_of(scores).items():
                total[doc_id] = total.get(doc_id, 0.0) + weight * part
    return fused
