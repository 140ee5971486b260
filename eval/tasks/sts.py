"""Judge sentence similarity: how cosines of sentence pairs correlate with people's scores."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embedder.progress import Progress
from embedder.types import Encoder, Role
from eval.data.pairs import PairSet, sentences
from eval.measures.measures import Values, means
from eval.runs.record import Record
from eval.tasks.sentence_vectors import CHANNEL, SentenceRows
from retrieval.post_fitting import check_count, fit_sentences


@dataclass(frozen=True, slots=True)
class Correlation:
    """How cosines and scores of pairs correlate, each in -1..1; NaN where one side is constant."""

    spearman: float
    pearson: float
    pairs: int

    @property
    def measures(self) -> dict[str, float | None]:
        """The values by name, None for NaN: JSON knows no NaN."""
        values = {"spearman": self.spearman, "pearson": self.pearson}
        return {name: None if math.isnan(value) else value for name, value in values.items()}

    def to_json(self) -> dict[str, Any]:
        """Return the values and over how many pairs they are."""
        return {"measures": self.measures, "pairs": self.pairs}


def judge(
    sets: Sequence[PairSet], encoder: Encoder, progress: Progress | None = None
) -> list[Record]:
    """Judge sets of pairs by the cosine of their dense rows; every pair counts.

    A sentence is encoded once, in however many pairs and sets it stands.

    Args:
        sets: with sentences and scores.
        encoder: gives one dense row a sentence.
        progress: called with the number of sentences encoded, of `len(sentences(sets))`.

    Raises:
        ValueError: the encoder gives no dense row or several for a sentence, or a correlation
            over a whole set is not defined.
    """
    rows = SentenceRows(encoder)
    return [judge_set(pair_set, rows, progress) for pair_set in sets]


def judge_set(pair_set: PairSet, rows: SentenceRows, progress: Progress | None = None) -> Record:
    """Judge one set; sentences whose rows are known already are not encoded.

    The value of a pair is what it adds to a correlation. The details hold "subsets", name -> the
    correlation over its pairs alone, where the set has any, and "source", a digest of the pairs.
    A prompt's [post] is fitted to the sentences of the set, without its scores; "post" is then the
    digest of the fit.

    Raises:
        ValueError: as `judge`.
    """
    texts = sentences([pair_set])
    if rows.post is not None:
        check_count(len(texts))  # before they are read
    every = rows.of(texts, progress)
    sides = [
        rows.of([pair.first for pair in pair_set.pairs]),
        rows.of([pair.second for pair in pair_set.pairs]),
    ]
    fit = None if rows.post is None else fit_sentences(every, rows.post)
    if fit is not None:
        sides = [fit.change(side, Role.QUERY) for side in sides]
    cosines = _cosines(*sides)
    gold = np.array([pair.gold for pair in pair_set.pairs])
    names = np.array([pair.subset for pair in pair_set.pairs])
    for kind, values in (("scores", gold), ("cosines", cosines)):
        if np.ptp(values) == 0:
            raise ValueError(
                f"{pair_set.name}: no correlation is defined where all {kind} are equal"
            )
    subsets = {
        name: correlation(cosines[names == name], gold[names == name]).to_json()
        for name in pair_set.subsets
    }
    details: dict[str, Any] = {"subsets": subsets} if subsets else {}
    if fit is not None:
        details["post"] = fit.digest
    return Record(
        benchmark="sts",
        dataset=pair_set.name,
        values={CHANNEL: pair_values(cosines, gold)},
        counted=CHANNEL,
        fingerprints={CHANNEL: rows.fingerprint},
        cost=rows.spent(),
        details=details | {"source": pair_set.source_facts()},
    )


def overall_correlation(record: Record) -> Correlation:
    """Return the correlation over all pairs of a set, which is what papers report as "all".

    Raises:
        ValueError: it is the record of another benchmark.
    """
    if record.benchmark != "sts":
        raise ValueError(f"{record.dataset}: expected an sts record; got {record.benchmark}")
    return _correlation(record.measures, record.size)


def summarize_pairs(record: Record) -> dict[str, Any]:
    """Return the figures of a set, unrounded; "subsets" and "post" only where it has them."""
    more = {name: part for name, part in record.details.items() if name in ("subsets", "post")}
    return {
        "dataset": record.dataset,
        **overall_correlation(record).to_json(),
        **more,
        "fingerprint": {CHANNEL: json.loads(record.fingerprints[CHANNEL])},
        "counts": dict(record.cost.counts[CHANNEL]),
    }


def correlation(cosines: NDArray[np.float64], gold: NDArray[np.float64]) -> Correlation:
    """Correlate cosines with scores; equal values share the mean of their ranks.

    Args:
        cosines: (n,) one a pair, n at least 1.
        gold: (n,) scores by people, on any scale.
    """
    if len(gold) < 2 or np.ptp(cosines) == 0 or np.ptp(gold) == 0:
        return Correlation(math.nan, math.nan, len(gold))
    return _correlation(means(pair_values(cosines, gold)), len(gold))


def pair_values(cosines: NDArray[np.float64], gold: NDArray[np.float64]) -> Values:
    """Return the share of each pair in the correlations, which are the means over pairs.

    For Pearson's that is the product of both sides in standard units (of the population), for
    Spearman's the same of ranks (Spearman, American Journal of Psychology 1904). Two encoders
    are so compared pair by pair.

    Args:
        cosines: (n,) one a pair, not all equal.
        gold: (n,) scores by people, not all equal.
    """
    from scipy.stats import rankdata, zscore

    sides = {"spearman": (rankdata(cosines), rankdata(gold)), "pearson": (cosines, gold)}
    return {
        measure: {
            str(number): float(value)
            for number, value in enumerate(zscore(first) * zscore(second), start=1)
        }
        for measure, (first, second) in sides.items()
    }


def _cosines(first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return (n,) cosines of rows (n, dim), 0 where a row is zeros.

    Equal rows have exactly 1, so that they tie.
    """

    def products(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float64]:
        return np.asarray(np.einsum("nd,nd->n", a, b, dtype=np.float64))

    norms = np.sqrt(products(first, first) * products(second, second))
    return np.divide(products(first, second), norms, out=np.zeros(len(norms)), where=norms > 0)


def _correlation(measures: Mapping[str, float | None], pairs: int) -> Correlation:
    """Make a correlation of means or of JSON; rounding must not take it out of -1..1."""

    def bounded(value: float | None) -> float:
        return math.nan if value is None else min(1.0, max(-1.0, value))

    return Correlation(bounded(measures["spearman"]), bounded(measures["pearson"]), pairs)
