"""What a stored weight is worth: the weighting of a channel, and counts over its live rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from index.channels.postings import Postings
from index.topk import check_live


@dataclass(frozen=True, slots=True)
class Weighting:
    """How a stored weight becomes the part that a term adds to a score.

    Attributes:
        kind: "impacts" takes weights as they are; "bm25" takes them as counts.
        k1: BM25's saturation, at least 0.
        b: BM25's share of length normalisation, 0 to 1.
        drop_ubiquitous: ignore query terms that stand in every live row, as Lucene's impact
            search does.
    """

    kind: Literal["impacts", "bm25"]
    k1: float = 0.9
    b: float = 0.4
    drop_ubiquitous: bool = False

    def __post_init__(self) -> None:
        if self.kind not in ("impacts", "bm25"):
            raise ValueError(f"kind is impacts or bm25; got {self.kind!r}")
        if not (0 <= self.k1 < np.inf and 0 <= self.b <= 1):
            raise ValueError(f"BM25 needs k1 >= 0 and 0 <= b <= 1; got k1={self.k1}, b={self.b}")


@dataclass(frozen=True, slots=True, eq=False)
class Statistics:
    """What weighing needs to know of all live rows of all segments.

    Attributes:
        documents: number of live rows.
        average_length: mean sum of weights of a live row; 0 without rows.
        terms: (t,) int64, ascending.
        document_frequency: (t,) int64: live rows that hold the term.
    """

    documents: int
    average_length: float
    terms: NDArray[np.int64]
    document_frequency: NDArray[np.int64]

    def frequency_of(self, terms: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the document frequency of each term, 0 for unknown ones."""
        if not len(self.terms):
            return np.zeros(len(terms), np.int64)
        at = np.minimum(np.searchsorted(self.terms, terms), len(self.terms) - 1)
        return np.where(self.terms[at] == terms, self.document_frequency[at], 0)


def statistics(
    postings: Sequence[Postings], live: Sequence[NDArray[np.bool_] | None]
) -> Statistics:
    """Count over the live rows of all segments; deleted rows count nowhere.

    Args:
        postings: of each segment.
        live: for each segment (rows,) True where a row is not deleted, or None for all.
    """
    documents, length = 0, 0.0
    terms, frequencies = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for part, mask in zip(postings, live, strict=True):
        check_live(mask, part.rows)
        documents += part.rows if mask is None else int(mask.sum())
        length += float(part.lengths.sum(dtype=np.float64, where=True if mask is None else mask))
        terms.append(part.terms)
        frequencies.append(part.document_frequency(mask))
    if len(terms) == 2:  # one segment: nothing to add up
        return Statistics(documents, length / max(documents, 1), terms[1], frequencies[1])
    together, place = np.unique(np.concatenate(terms), return_inverse=True)
    frequency = np.zeros(len(together), np.int64)
    np.add.at(frequency, place, np.concatenate(frequencies))
    return Statistics(documents, length / max(documents, 1), together, frequency)


def inverse_frequency(
    counted: Statistics, weighting: Weighting, terms: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Return the inverse document frequency of terms; 1 where weights are taken as they are."""
    if weighting.kind == "impacts":
        return np.ones(len(terms), np.float32)
    frequency = counted.frequency_of(terms)
    rarity = (counted.documents - frequency + 0.5) / (frequency + 0.5)
    return np.log1p(np.maximum(rarity, 0)).astype(np.float32)


def length_norms(
    counted: Statistics, weighting: Weighting, lengths: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return what BM25 adds to a count in the denominator, for rows of some lengths."""
    relative = lengths / max(counted.average_length, 1e-9)
    return (weighting.k1 * (1 - weighting.b + weighting.b * relative)).astype(np.float32)


def weigh_counts(
    counts: NDArray[np.float32], norms: NDArray[np.float32], idf: np.float32 | NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return what BM25 makes of counts, by the norm of each one's row and the idf of its term.

    As Lucene computes it (Kamphuis et al., ECIR 2020, "Which BM25 do you mean?"), with the exact
    length of a row.
    """
    weights: NDArray[np.float32] = counts / (counts + norms)
    weights *= idf
    return weights


def weigh_rows(rows: csr_matrix, weighting: Weighting, counted: Statistics) -> csr_matrix:
    """Return rows whose inner product with a query is the score that a search gives them.

    Args:
        rows: (n, vocab) as they are stored: counts for bm25, weights for impacts.
        weighting: of their channel.
        counted: over all live rows of it.
    """
    weighed = csr_matrix(rows, dtype=np.float32, copy=True)
    terms = weighed.indices.astype(np.int64)
    if weighting.kind == "bm25":
        sizes = np.diff(weighed.indptr)
        lengths = np.asarray(rows.sum(axis=1), np.float32).ravel()
        norms = np.repeat(length_norms(counted, weighting, lengths), sizes)
        idf = inverse_frequency(counted, weighting, terms)
        weighed.data = weigh_counts(weighed.data, norms, idf)
    if weighting.drop_ubiquitous:
        weighed.data[counted.frequency_of(terms) >= counted.documents] = 0
    return weighed
