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
    lengths = np.array([len(text) for text in texts], np.int64)
    columns = np.array([*chain(*texts)], np.int64)
    rows = np.repeat(np.arange(len(lengths)), lengths)
    order = np.lexsort((columns, rows))
    columns, rows = columns[order], rows[order]
    first = np.ones(len(columns), np.bool_)
    first[1:] = (columns[1:] != columns[:-1]) | (rows[1:] != rows[:-1])
    starts = np.flatnonzero(first)
    counts = np.diff(np.append(starts, len(columns))).astype(np.float32)
    ends = np.cumsum(np.bincount(rows[starts], minlength=len(lengths)))
    indptr = np.concatenate(([0], ends)).astype(np.int64)
    return csr_matrix((counts, columns[starts], indptr), shape=(len(lengths), VOCABULARY))
