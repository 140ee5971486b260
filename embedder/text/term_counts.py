"""Counts of terms in a vocabulary that needs no state: the column of a term is its hash."""

import hashlib
from collections.abc import Sequence
from itertools import chain

import numpy as np
from scipy.sparse import csr_matrix

VOCABULARY = 2**62


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
    indptr = np.cumsum([0, *map(len, texts)])
    counts = csr_matrix(
        (np.ones(len(columns), np.float32), columns, indptr), shape=(len(texts), VOCABULARY)
    )
    counts.sum_duplicates()  # which sorts them
    return counts
