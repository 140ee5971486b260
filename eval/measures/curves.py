"""Curves that are drawn of runs: precision over recall, gain over rank, fronts and shared bins."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from eval.data.qrels import Qrels
from eval.measures.measures import evaluate, means
from retrieval.run import Run

RECALLS = tuple(level / 10 for level in range(11))
CUTOFFS = (1, 2, 3, 5, 10, 20, 50, 100)


def precision_recall(run: Run, qrels: Qrels) -> dict[float, float]:
    """Average interpolated precision at recall 0, .1, ..., 1 over judged queries, as trec_eval."""
    names = {f"IPrec@{level:.1f}": level for level in RECALLS}
    averages = means(evaluate(run, qrels, list(names)))
    return {level: averages[name] for name, level in names.items()}


def gain_at(run: Run, qrels: Qrels, cutoffs: Sequence[int] = CUTOFFS) -> dict[int, float]:
    """Average nDCG@k over judged queries, for each k."""
    averages = means(evaluate(run, qrels, [f"nDCG@{k}" for k in cutoffs]))
    return {k: averages[f"nDCG@{k}"] for k in cutoffs}


def pareto_front(points: Mapping[str, tuple[float, float]]) -> list[str]:
    """Name the points that no other beats, the cheapest first.

    A point is beaten by one that costs no more and is no worse, and is better in one of the two.

    Args:
        points: name -> cost, quality.
    """
    front: list[str] = []
    best = -np.inf
    for name, (cost, quality) in sorted(points.items(), key=lambda item: (item[1][0], -item[1][1])):
        if quality > best or (front and points[front[-1]] == (cost, quality)):
            front.append(name)
            best = quality
    return front


def bin_edges(groups: Sequence[Sequence[float]], bins: int = 30) -> NDArray[np.float64]:
    """Return edges shared by groups of values: by ratio where they span two powers of ten.

    Whole numbers, such as lengths, get bins that hold equally many of them (by ratio, at least
    one): edges anywhere else would put two into one bin and one into the next, and show peaks
    that are not there.

    Args:
        groups: at least one value in all.
        bins: number of bins; at most, of whole numbers.
    """
    values = np.concatenate([np.asarray(group, np.float64) for group in groups])
    low, high = float(values.min()), float(values.max())
    are_whole, by_ratio = bool((values == np.floor(values)).all()), low > 0 and high / low >= 100
    if are_whole and by_ratio:
        return np.unique(np.round(np.geomspace(low, high + 1, bins + 1))) - 0.5
    if are_whole:
        step = math.ceil((high - low + 1) / bins)
        return low - 0.5 + step * np.arange(math.ceil((high - low + 1) / step) + 1.0)
    if by_ratio:
        return np.geomspace(low, high, bins + 1)
    if low == high:
        low, high = low - 0.5, high + 0.5
    return np.linspace(low, high, bins + 1)
