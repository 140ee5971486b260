"""Exact search of dense rows: scores block by block, in cache, on all cores."""

from contextlib import nullcontext
from itertools import count
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from index.channels.candidates import Candidates
from index.channels.threads import cores, run_together, single_threaded_blas
from index.topk import rounding_slack

RowChoice = slice | NDArray[np.int64]
"""Which rows: neighbours, or some by their numbers."""

FEW_QUERIES = 12  # up to here products row by row, at the rate of memory, beat a matrix product
TILE = 256  # rows that stay in the cache of a core while they meet each of a few queries
_LONGEST = 1 << 13  # rows of a block
_SHORTEST = 1 << 8
_SCORES = 1 << 19  # scores of a block: 2 MiB
_WORTH_THREADS = 1 << 22  # numbers of rows that one core reads in less time than threads take
_HELD = 1 << 22  # candidates at a time, of all queries
_MOST_QUERIES = 1 << 12
_WIDENED = 1 << 12  # rows that are float64 at a time


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


def multiply(
    queries: NDArray[np.float32], vectors: NDArray[np.float32], out: NDArray[np.float32]
) -> None:
    """Write inner products, (q, dim) by (n, dim) float32 into (q, n).

    A product of matrix and vector of OpenBLAS reads at half the rate of its inner product.
    """
    if len(queries) > FEW_QUERIES:
        np.matmul(queries, vectors.T, out=out)
        return
    for start in range(0, len(vectors), TILE):
        part = slice(start, start + TILE)
        np.vecdot(queries[:, None], vectors[part], out=out[:, part])


def queries_at_once(k: int) -> int:
    """Return how many queries `near_rows` may be given at most."""
    return int(np.clip(_HELD // k, 1, _MOST_QUERIES))


def near_rows(
    scores: RowScores, k: int, live: NDArray[np.bool_] | None, numbers: NDArray[np.int64] | None
) -> Candidates:
    """Return for each query at least all rows whose exact score may be among the k best.

    Args:
        scores: of at most `queries_at_once(k)` queries.
        k: at least 1.
        live: (n,) False removes a row; None keeps all.
        numbers: (live rows,) of the live rows, to read these alone, a copy of each block; pays
            where they are few. What is found is then places among them.

    Raises:
        FloatingPointError: a score is no number.
    """
    found = Candidates(k, scores.slack)
    live = live if numbers is None else None
    total = scores.shape[0] if numbers is None else len(numbers)
    queries = len(scores.slack)
    size = int(np.clip(_SCORES // queries, _SHORTEST, _LONGEST))
    left = count()  # threads take blocks as they come to them

    def work() -> None:
        room = np.empty(queries * size, np.float32)
        with np.errstate(all="ignore"):
            while (start := next(left) * size) < total:
                stop = min(start + size, total)
                out = room[: queries * (stop - start)].reshape(queries, stop - start)
                part = slice(start, stop)
                scores.write(part if numbers is None else numbers[part], out)
                if not np.isfinite(out.sum()):
                    raise FloatingPointError
                found.add(out, start, None if live is None else live[part])

    threads = min(cores(), -(-total // size)) if total * scores.shape[1] > _WORTH_THREADS else 1
    alone = threads > 1 and queries > FEW_QUERIES
    with single_threaded_blas if alone else nullcontext():
        run_together(work, threads)
    return found


def exact_products(
    queries: NDArray[np.float32], vectors: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return inner products, computed in float64 and rounded: (q, dim), (n, dim) -> (q, n)."""
    products = np.empty((len(queries), len(vectors)), np.float32)
    wide = queries.astype(np.float64)
    for start in range(0, len(vectors), _WIDENED):
        part = vectors[start : start + _WIDENED].astype(np.float64)
        products[:, start : start + len(part)] = wide @ part.T
    return products
