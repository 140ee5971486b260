"""Weighted terms of texts -> sparse rows."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix


def to_rows(
    terms: Sequence[NDArray[np.int64]],
    weights: Sequence[NDArray[np.float32]],
    columns: int,
    scale: int = 0,
) -> csr_matrix:
    """Pack terms and weights per text into CSR, in canonical form and without zeros.

    Args:
        terms: per text, columns in any order; one that stands twice has one weight.
        weights: per text, the weight of each of its terms, >= 0.
        columns: width of the matrix.
        scale: 0 keeps weights; otherwise they become rint(scale * weight), as PromptReps
            does with 100 for Lucene's integer impacts.

    Returns:
        (n, columns) float32.
    """
    kept_terms, kept_weights = [np.zeros(0, np.int64)], [np.zeros(0, np.float32)]
    for columns_of, weights_of in zip(terms, weights, strict=True):
        scaled = np.rint(scale * weights_of) if scale else weights_of
        there = scaled > 0
        unique, first = np.unique(columns_of[there], return_index=True)
        kept_terms.append(unique)
        kept_weights.append(scaled[there][first].astype(np.float32))
    indptr = np.cumsum([len(unique) for unique in kept_terms])
    data, indices = np.concatenate(kept_weights), np.concatenate(kept_terms)
    return csr_matrix((data, indices, indptr), shape=(len(terms), columns), dtype=np.float32)
