"""Counts of terms in a vocabulary that needs no state: the column of a term is its hash."""

import hashlib
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

VOCABULARY = 2**62


class CountedTerms(NamedTuple):
    """How often terms stand in texts.

    Attributes:
        terms: (entries,) uint32 numbers of terms, each once a text.
        counts: (entries,) float32.
        bounds: (texts + 1,) uint64 where the entries of each text begin and end.
    """

    terms: NDArray[np.uint32]
    counts: NDArray[np.float32]
    bounds: NDArray[np.uint64]

    @staticmethod
    def joined(parts: Iterable["CountedTerms"]) -> "CountedTerms":
        """Return the terms of texts that were counted part by part."""
        terms, counts = [np.zeros(0, np.uint32)], [np.zeros(0, np.float32)]
        sizes = [np.zeros(1, np.uint64)]
        for part in parts:
            terms.append(part.terms)
            counts.append(part.counts)
            sizes.append(np.diff(part.bounds))
        bounds = np.cumsum(np.concatenate(sizes))
        return CountedTerms(np.concatenate(terms), np.concatenate(counts), bounds)

    def rows(self, columns: NDArray[np.int64]) -> csr_matrix:
        """Return the counts as `count_columns` does, of terms that stand in these columns."""
        shape = (len(self.bounds) - 1, VOCABULARY)
        rows = csr_matrix((self.counts, columns[self.terms], self.bounds), shape=shape)
        rows.sum_duplicates()  # there are none, but this sorts them
        return rows


def hashed_column(term: str) -> int:
    """Return the column of a term, 62 bits of its BLAKE2b."""
    digest = hashlib.blake2b(term.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 2


def count_columns(texts: Sequence[Sequence[int]]) -> csr_matrix:
    """Count equal columns of each text: (len(texts), VOCABULARY) float32.

    Args:
        texts: the columns of the terms of each, in any order.
    """
    columns = np.fromiter(chain.from_iterable(texts), np.int64)
    return count_listed(columns, np.cumsum([0, *map(len, texts)]))


def count_listed(columns: NDArray[np.int64], bounds: NDArray[np.int64]) -> csr_matrix:
    """Count equal columns of each text, as `count_columns` does.

    Args:
        columns: (n,) of all texts, one behind another.
        bounds: (texts + 1,) where those of each begin and end.
    """
    texts = len(bounds) - 1
    counts = csr_matrix(
        (np.ones(len(columns), np.float32), columns, bounds), shape=(texts, VOCABULARY)
    )
    counts.sum_duplicates()  # which sorts them
    return counts
