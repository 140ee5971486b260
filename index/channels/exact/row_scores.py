"""Scores of dense rows for some queries, read from float32, float16 or int8."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from index.channels.exact.int8_codes import LARGEST_CODE, Int8Codes
from index.topk import rounding_slack

RowChoice = slice | NDArray[np.int64]
"""Which rows: neighbours, or some by their numbers."""

FEW_QUERIES = 12  # up to here products row by row, at the rate of memory, beat a matrix product
TILE = 256  # rows that stay in the cache of a core while they meet each of a few queries
_WIDENED = 1 << 10  # rows that are widened at a time
_QUERY_CODE = 32_767  # largest code of a query, an int16
_SUM = (1 << 31) // LARGEST_CODE - 1  # of a query's codes: sums of products fit int32


class RowScores(Protocol):
    """Scores of all rows for some queries, as near to the exact ones as its slack says.

    Attributes:
        slack: (q,) float32: how far two scores may be wrongly ordered.
        shape: rows and their width.
    """

    slack: NDArray[np.float32]
    shape: tuple[int, int]

    def write(self, rows: RowChoice, out: NDArray[np.float32]) -> None:
        """Write the scores of some rows, (q, rows)."""
        ...


class Float32Scores:
    """Inner products of float32 rows.

    Args:
        vectors: (n, dim) float32.
        queries: (q, dim) float32.
    """

    def __init__(self, vectors: NDArray[np.float32], queries: NDArray[np.float32]) -> None:
        self.shape = (len(vectors), vectors.shape[1])
        self.slack = np.full(len(queries), rounding_slack(vectors.shape[1]), np.float32)
        self._vectors = vectors
        self._queries = queries

    def write(self, rows: RowChoice, out: NDArray[np.float32]) -> None:
        """Write the scores of some rows, (q, rows)."""
        multiply(self._queries, self._vectors[rows], out)


class Float16Scores:
    """Inner products of float16 rows, as exact as those of the same rows in float32.

    Args:
        vectors: (n, dim) float16.
        queries: (q, dim) float32.
        compiled: by code that takes half a second to load, and ten times less to widen a row.
    """

    def __init__(
        self, vectors: NDArray[np.float16], queries: NDArray[np.float32], compiled: bool
    ) -> None:
        self.shape = (len(vectors), vectors.shape[1])
        self.slack = np.full(len(queries), rounding_slack(vectors.shape[1]), np.float32)
        self._vectors = vectors
        self._queries = np.ascontiguousarray(queries)
        self._compiled = compiled

    def write(self, rows: RowChoice, out: NDArray[np.float32]) -> None:
        """Write the scores of some rows, (q, rows)."""
        vectors = self._vectors[rows]
        if self._compiled and len(self._queries) <= FEW_QUERIES:
            from index.channels.exact.products import multiply_halves

            multiply_halves(vectors.view(np.int16), self._queries, out)
            return
        for start in range(0, len(vectors), _WIDENED):
            part = slice(start, start + _WIDENED)
            multiply(self._queries, self._widened(vectors[part]), out[:, part])

    def _widened(self, vectors: NDArray[np.float16]) -> NDArray[np.float32]:
        if not self._compiled:
            return vectors.astype(np.float32)
        from index.channels.exact.products import widen_halves

        widened = np.empty(vectors.shape, np.float32)
        widen_halves(vectors.view(np.int16), widened)
        return widened


class Int8Scores:
    """Inner products of the codes of rows; the slack is what rows and codes differ by.

    By Cauchy and Schwarz, a query times the distance between a row and its codes bounds the error
    of a score, and a row times that between a query and its codes. So the exact k best are among
    the rows that a search with this slack finds.

    Args:
        codes: of n rows.
        queries: (q, dim) float32.
        compiled: by code that takes half a second to load; else codes are widened.
    """

    def __init__(self, codes: Int8Codes, queries: NDArray[np.float32], compiled: bool) -> None:
        self.shape = (len(codes.codes), codes.codes.shape[1])
        self._codes = codes
        self._queries = queries
        self._compiled = compiled
        self._query_codes, self._query_scales = _query_codes(queries)
        wide = queries.astype(np.float64)
        lost = wide - self._query_codes * self._query_scales[:, None].astype(np.float64)
        errors = codes.errors
        error = np.linalg.norm(wide, axis=1) * errors.row
        error += np.linalg.norm(lost, axis=1) * errors.length
        with np.errstate(over="ignore"):  # then all rows are near
            self.slack = (2 * error + rounding_slack(self.shape[1])).astype(np.float32)

    def write(self, rows: RowChoice, out: NDArray[np.float32]) -> None:
        """Write the scores of some rows, (q, rows)."""
        codes, scales = self._codes.codes[rows], self._codes.scales[rows]
        if self._compiled and len(self._queries) <= FEW_QUERIES:
            from index.channels.exact.products import multiply_codes

            multiply_codes(codes, scales, self._query_codes, self._query_scales, out)
            return
        for start in range(0, len(codes), _WIDENED):
            part = slice(start, start + _WIDENED)
            multiply(self._queries, codes[part].astype(np.float32), out[:, part])
        out *= scales


def multiply(
    queries: NDArray[np.float32], vectors: NDArray[np.float32], out: NDArray[np.float32]
) -> None:
    """Write inner products, (q, dim) by (n, dim) float32 into (q, n).

    A product of matrix and vector of OpenBLAS reads at half the rate of its inner product.
    """
    if len(queries) > FEW_QUERIES:
        np.matmul(queries, vectors.T, out=out)
        return
    tile = TILE if len(queries) > 1 else len(vectors)  # each call takes 4 microseconds
    for start in range(0, len(vectors), max(tile, 1)):
        part = slice(start, start + tile)
        np.vecdot(queries[:, None], vectors[part], out=out[:, part])


def _query_codes(queries: NDArray[np.float32]) -> tuple[NDArray[np.int16], NDArray[np.float32]]:
    """Return codes of queries, whose sum with those of any row fits int32, and their scales."""
    sizes = np.abs(queries.astype(np.float64))
    largest, total = sizes.max(axis=1, initial=0), sizes.sum(axis=1)
    room = _SUM - queries.shape[1]  # a code may be rounded up
    scales = np.maximum(largest / _QUERY_CODE, total / room).astype(np.float32)
    scales = np.nextafter(scales, np.float32(np.inf))
    codes = np.rint(queries / scales[:, None].astype(np.float64))
    return codes.astype(np.int16), scales
