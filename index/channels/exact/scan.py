"""Exact search of dense rows: scores block by block, in cache, on all cores."""

from contextlib import nullcontext
from itertools import count

import numpy as np
from numpy.typing import NDArray

from index.channels.exact.candidates import Candidates
from index.channels.exact.row_scores import FEW_QUERIES, RowScores
from index.channels.threads import cores, run_together, single_threaded_blas

_LONGEST = 1 << 15  # rows of a block: each costs some 50 microseconds beside its scores
_SHORTEST = 1 << 8
_TURNS = 8  # blocks for each thread, so that none waits long for the others,
_WORTH_A_TURN = 1 << 12  # of at least so many rows
_SCORES = 1 << 19  # scores of a block: 2 MiB
_WORTH_THREADS = 1 << 22  # numbers of rows that one core reads in less time than threads take
_HELD = 1 << 22  # candidates at a time, of all queries
_MOST_QUERIES = 1 << 12
_WIDENED = 1 << 12  # rows that are float64 at a time


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
    threads = cores() if total * scores.shape[1] > _WORTH_THREADS else 1
    even = int(np.clip(total // (_TURNS * threads), _WORTH_A_TURN, _LONGEST))
    size = min(max(_SCORES // queries, _SHORTEST), even)
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

    threads = min(threads, -(-total // size))
    alone = threads > 1 and queries > FEW_QUERIES
    with single_threaded_blas if alone else nullcontext():
        run_together(work, threads)
    return found


def all_scores(scores: RowScores) -> NDArray[np.float32]:
    """Return the scores of all rows, (q, n)."""
    out = np.empty((len(scores.slack), scores.shape[0]), np.float32)
    scores.write(slice(0, scores.shape[0]), out)
    return out


def exact_products(
    queries: NDArray[np.float32], vectors: NDArray[np.floating]
) -> NDArray[np.float32]:
    """Return inner products, computed in float64 and rounded: (q, dim), (n, dim) -> (q, n)."""
    products = np.empty((len(queries), len(vectors)), np.float32)
    wide = queries.astype(np.float64)
    for start in range(0, len(vectors), _WIDENED):
        part = vectors[start : start + _WIDENED].astype(np.float64)
        products[:, start : start + len(part)] = wide @ part.T
    return products
