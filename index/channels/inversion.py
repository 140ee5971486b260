"""Matrices of rows turned into postings."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from index.channels.parts import cut_parts
from index.channels.postings import Postings
from index.channels.postings_files import write_postings
from index.channels.weight_codes import encode_weights, find_values

_PART = 1 << 15  # entries


def build_inverted(matrix: csr_matrix, folder: Path) -> None:
    """Write the postings of a matrix into a folder that exists; see `invert`."""
    write_postings(invert(matrix), folder)


def invert(matrix: csr_matrix) -> Postings:
    """Return a matrix by columns.

    Args:
        matrix: (rows, columns) float32, positive entries; memory is taken by entries, never by
            columns, of which there may be 2**62.

    Raises:
        ValueError: an entry is not positive and finite, or there are 2**31 rows or more.
    """
    if matrix.shape[0] >= 2**31:
        raise ValueError(f"a segment holds fewer than 2**31 rows; got {matrix.shape[0]}")
    data = np.asarray(matrix.data, np.float32)
    if len(data) and not (data.min() > 0 and np.isfinite(data).all()):
        raise ValueError("weights of postings must be positive and finite; drop zeros first")
    # The terms of a part at a time, which a cache has room for: half the time of all at once.
    parts = [_terms_of(matrix.indices[at : at + _PART]) for at in range(0, matrix.nnz, _PART)]
    terms = np.unique(np.concatenate([np.zeros(0, np.int64), *(part for part, _ in parts)]))
    places = (np.searchsorted(terms, part).astype(np.int32)[which] for part, which in parts)
    numbers = np.concatenate([np.zeros(0, np.int32), *places])
    shape = (matrix.shape[0], len(terms))
    numbered = csr_matrix((data, numbers, matrix.indptr), shape=shape)
    return invert_numbered(numbered, terms.astype(np.int64, copy=False), matrix.shape[1])


def invert_numbered(matrix: csr_matrix, terms: NDArray[np.int64], columns: int) -> Postings:
    """Return a matrix by columns, of one whose columns are numbers of these.

    Args:
        matrix: (rows, t) float32, positive entries.
        terms: (t,) columns by number, different ones, in any order; some may have no entries.
        columns: number of columns there can be.
    """
    used = np.flatnonzero(np.bincount(matrix.indices, minlength=len(terms)))
    order = used[np.argsort(terms[used])]
    ranks = np.zeros(len(terms), np.int32)
    ranks[order] = np.arange(len(order))
    shape = (matrix.shape[0], len(order))
    ranked = csr_matrix((matrix.data, ranks[matrix.indices], matrix.indptr), shape=shape)
    by_term = ranked.tocsc()
    by_term.sum_duplicates()
    low, parts = cut_parts(by_term.indptr, by_term.indices, matrix.shape[0])
    values = find_values([by_term.data])
    return Postings(
        terms=terms[order],
        parts=parts,
        low=low,
        codes=encode_weights(by_term.data, values),
        values=values,
        lengths=np.asarray(matrix.sum(axis=1)).ravel().astype(np.float32, copy=False),
        columns=columns,
    )


def _terms_of(columns: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.uint16]]:
    """Return the different ones of at most _PART columns, ascending, and which of them each is."""
    terms, which = np.unique(columns, return_inverse=True)
    return terms, which.astype(np.uint16)
