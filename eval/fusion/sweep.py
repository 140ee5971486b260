"""Many ways of fusing the same runs, judged fast: a value for each setting and query.

A measure of the judged documents' ranks needs no sorted list: a rank is 1 plus the number of
documents that come before. So all weightings of one method are judged together, query by query.
"""

import itertools
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from embedder.progress import Progress
from embedder.types import Float64Array
from eval.data.qrels import Qrels
from eval.measures.ranking import rank_columns, sort_ties
from retrieval.fusion import DEFAULT, fusion_by_name
from retrieval.run import Run

METHODS = (DEFAULT, "zscore", "dbsf", "rrf:k=10", "rrf:k=30", "rrf:k=60")
STEPS = (0.1, 0.2, 0.25, 0.5)
FEW = 300  # weightings of a method: the finest of STEPS that has no more is the default
MOST = 5000  # settings; more are hours of choosing between weights that no data set tells apart

_Measure = Callable[
    [Float64Array, Float64Array], Float64Array
]  # (relevant, s) ranks, (relevant,) gains -> (s,) values

_MEASURE = re.compile(r"(nDCG|RR|AP|R|P)(?:@([1-9]\d*))?")


@dataclass(frozen=True, slots=True)
class Setting:
    """A method of `fusion_by_name` and a weight for each run.

    Attributes:
        method: without weights, e.g. "minmax" or "rrf:k=60".
        weights: in the order of runs, at least one of them above 0.
    """

    method: str
    weights: tuple[float, ...]

    def text(self, runs: Sequence[str]) -> str:
        """Write the setting as `fusion_by_name` reads it."""
        written = (
            f"{run}={weight!r}".removesuffix(".0")
            for run, weight in zip(runs, self.weights, strict=True)
        )
        return f"{self.method}{',' if ':' in self.method else ':'}{','.join(written)}"

    @property
    def shares(self) -> tuple[float, ...]:
        """The weights, made to sum to 1."""
        return tuple(weight / sum(self.weights) for weight in self.weights)

    @property
    def is_equal(self) -> bool:
        """Whether all runs weigh the same."""
        return len(set(self.weights)) == 1


def grid(runs: int, methods: Sequence[str], step: float | None = None) -> tuple[Setting, ...]:
    """List all weightings whose weights are multiples of `step` and sum to 1, and equal weights.

    Method by method in the order given, within a method nearest to equal weights first.

    Args:
        runs: number of runs, at least 2.
        methods: ways of fusing, without weights.
        step: 1 over a whole number; by default one that gives FEW weightings at most.

    Raises:
        ValueError: the step is another number, or gives more than MOST settings.
    """
    if runs < 2:
        raise ValueError(f"fusing needs at least 2 runs; got {runs}")
    parts = round(1 / step) if step and 0 < step <= 1 else 0
    if step is None:
        fits = [round(1 / step) for step in STEPS if _count(runs, round(1 / step)) <= FEW]
        parts = fits[0] if fits else 1
    elif not parts or abs(parts * step - 1) > 1e-9:
        raise ValueError(f"a step divides 1 evenly, e.g. 0.1, 0.05 or 0.25; got {step}")
    if (count := len(methods) * (_count(runs, parts) + 1)) > MOST:
        raise ValueError(
            f"{len(methods)} methods and {runs} runs in steps of {1 / parts:g} are {count:,} "
            f"settings, more than {MOST:,}; take a larger step or fewer methods"
        )
    weightings = [tuple(part / parts for part in cut) for cut in _compositions(runs, parts)]
    if parts % runs:
        weightings.append((1.0,) * runs)
    weightings.sort(key=lambda weights: (round(_unevenness(weights), 9), weights))
    return tuple(Setting(method, weights) for method in methods for weights in weightings)


def sweep(
    runs: Mapping[str, Run],
    qrels: Qrels,
    measure: str,
    settings: Sequence[Setting],
    progress: Progress | None = None,
) -> Float64Array:
    """Judge every setting: equal to `evaluate(fuse(runs), qrels, [measure])`, to rounding.

    Documents of equal score are ranked as trec_eval does, which compares them as float32: the id
    that sorts last comes first.

    Args:
        runs: by name, in the order of the settings' weights; names tell runs of words, see
            `retrieval.fusion.LEXICAL`.
        qrels: judgements; each judged query counts, answered or not.
        measure: nDCG, AP or RR, with or without a cutoff as in nDCG@10; R or P with one.
        settings: those to judge.
        progress: called with the number of settings judged.

    Returns:
        (settings, queries) values, queries in the order of `qrels`.

    Raises:
        ValueError: an unknown measure or method, or a score that is not finite.
    """
    _measure(measure)  # a misspelt one must not cost the time of fusing
    judged = {
        name: {query: run[query] for query in qrels if query in run} for name, run in runs.items()
    }
    values = np.zeros((len(settings), len(qrels)))
    done = 0
    for method in dict.fromkeys(setting.method for setting in settings):
        rows = [at for at, setting in enumerate(settings) if setting.method == method]
        weights = np.array([settings[at].weights for at in rows])
        values[rows] = judge_weights(fuse_alone(judged, method), qrels, measure, weights)
        done += len(rows)
        if progress is not None:
            progress(done)
    return values


def fuse_alone(runs: Mapping[str, Run], method: str) -> list[Run]:
    """Return the scores of each run at weight 1: a fusion is their sum, times the weights."""
    return [fusion_by_name(method, [name])([run]) for name, run in runs.items()]


def judge_weights(
    parts: Sequence[Run], qrels: Qrels, measure: str, weights: Float64Array
) -> Float64Array:
    """Judge weightings of one method.

    Args:
        parts: scores of each run, see `fuse_alone`.
        qrels: as for `sweep`; likewise `measure`.
        measure: one of those that `is_swept` knows.
        weights: (n, runs).

    Returns:
        (n, queries) values, queries in the order of `qrels`.
    """
    judge = _measure(measure)
    values = np.zeros((len(weights), len(qrels)))
    for column, (query, gains) in enumerate(qrels.items()):
        relevant = {doc: gain for doc, gain in gains.items() if gain > 0}
        scores = [part.get(query, {}) for part in parts]
        if relevant and any(scores):
            ranks = _ranks(scores, relevant, weights)
            values[:, column] = judge(ranks, np.array([*relevant.values()], np.float64))
    return values


def is_swept(measure: str) -> bool:
    """Tell whether a measure is judged from ranks alone, as a sweep does."""
    try:
        _measure(measure)
    except ValueError:
        return False
    return True


def _ranks(
    parts: Sequence[Mapping[str, float]], relevant: Mapping[str, int], weights: Float64Array
) -> Float64Array:
    """Return (relevant, settings) ranks from 1 of one query, infinite where it is not found."""
    docs = sort_ties(set().union(*parts))
    place = {doc: at for at, doc in enumerate(docs)}
    scores = np.zeros((len(weights), len(docs)))
    returned = np.zeros(scores.shape, bool)  # a run of weight 0 returns nothing
    for part, weight in zip(parts, weights.T, strict=True):
        at = np.fromiter((place[doc] for doc in part), np.int64, len(part))
        row = np.zeros(len(docs))
        row[at] = np.fromiter(part.values(), np.float64, len(part))
        scores += weight[:, None] * row  # in the order of runs, as fusion adds: rounds alike
        returned[:, at] |= weight[:, None] > 0
    scores[~returned] = -np.inf
    ranks = np.full((len(relevant), len(weights)), np.inf)
    known = [doc in place for doc in relevant]
    ranks[known] = rank_columns(scores, [place[doc] for doc in relevant if doc in place])
    return ranks


def _measure(name: str) -> _Measure:
    match = _MEASURE.fullmatch(name)
    kind, cutoff = match.groups() if match else ("", None)
    if not kind or (kind in "RP" and cutoff is None):
        raise ValueError(
            f"a sweep is judged by nDCG@10, AP, RR@10, R@100, P@5 or the like; got {name!r}"
        )
    k = float(cutoff or math.inf)

    def judge(ranks: Float64Array, gains: Float64Array) -> Float64Array:
        ranks = np.where(ranks <= k, ranks, np.inf)
        return _KINDS[kind](ranks, gains, k)

    return judge


def _ndcg(ranks: Float64Array, gains: Float64Array, k: float) -> Float64Array:
    """Järvelin and Kekäläinen, TOIS 2002, in trec_eval's form: gain / log2(1 + rank)."""
    best = np.sort(gains)[::-1][: int(min(k, len(gains)))]
    ideal = float((best / np.log2(np.arange(len(best)) + 2)).sum())
    return np.asarray((gains[:, None] / np.log2(1 + ranks)).sum(axis=0) / ideal)


def _average_precision(ranks: Float64Array, gains: Float64Array, k: float) -> Float64Array:
    number = np.arange(1, len(ranks) + 1)[:, None]
    return np.asarray((number / np.sort(ranks, axis=0)).sum(axis=0) / len(gains))


def _reciprocal_rank(ranks: Float64Array, gains: Float64Array, k: float) -> Float64Array:
    return np.asarray((1 / ranks).max(axis=0))


def _recall(ranks: Float64Array, gains: Float64Array, k: float) -> Float64Array:
    return np.asarray(np.isfinite(ranks).sum(axis=0) / len(gains))


def _precision(ranks: Float64Array, gains: Float64Array, k: float) -> Float64Array:
    return np.asarray(np.isfinite(ranks).sum(axis=0) / k)


_KINDS: Mapping[str, Callable[[Float64Array, Float64Array, float], Float64Array]] = {
    "nDCG": _ndcg,
    "AP": _average_precision,
    "RR": _reciprocal_rank,
    "R": _recall,
    "P": _precision,
}


def _count(runs: int, parts: int) -> int:
    return math.comb(parts + runs - 1, runs - 1)


def _compositions(runs: int, parts: int) -> list[tuple[int, ...]]:
    """List the ways to write `parts` as a sum of `runs` whole numbers from 0."""
    return [
        tuple(right - left - 1 for left, right in itertools.pairwise((-1, *bars, parts + runs - 1)))
        for bars in itertools.combinations(range(parts + runs - 1), runs - 1)
    ]


def _unevenness(weights: Sequence[float]) -> float:
    return sum((weight / sum(weights)) ** 2 for weight in weights)
