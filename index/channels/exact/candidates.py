"""Rows that may be among the best k of each query, found while scores come block by block."""

from collections.abc import Iterator
from threading import Lock

import numpy as np
from numpy.typing import NDArray

_GROUP = 16  # scores whose maximum stands for them in the first bound
_SPARE = 1 << 14  # candidates that are let in between two bounds, beyond those that were kept
_CROWD = 1 << 15  # candidates of one query, beyond which it is given up


class Candidates:
    """Collects all rows that score no less than the k-th best of a query minus its slack.

    A block is compared with bounds that rise with the blocks before it, so that of n rows in no
    particular order some k log n are let in, and scores are looked at while they are in cache.
    Threads may add blocks at once.

    Args:
        k: at least 1.
        slack: (q,) float32 how far below the k-th best is still near; q is below 2**16.

    Attributes:
        crowded: (q,) True for queries that too many rows are near to, e.g. equal ones: these
            have no candidates here, and must be searched one by one.
    """

    def __init__(self, k: int, slack: NDArray[np.float32]) -> None:
        self._k = k
        self._slack = slack
        self._bounds = np.full(len(slack), -np.inf, np.float32)  # replaced, never written to
        self._lock = Lock()
        self._parts: list[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]] = []
        self._waiting = 0
        self._limit = _SPARE
        self.crowded = np.zeros(len(slack), np.bool_)

    def add(
        self, scores: NDArray[np.float32], start: int, live: NDArray[np.bool_] | None = None
    ) -> None:
        """Let in the near ones of some rows.

        Args:
            scores: (q, b) finite, contiguous.
            start: number of the first row.
            live: (b,) False removes a row.
        """
        bounds = self._bounds
        if np.isneginf(bounds).any():
            seen = scores if live is None else np.where(live, scores, np.float32(-np.inf))
            bounds = np.maximum(bounds, self._first_bounds(seen))
        near = scores >= bounds[:, None]
        if live is not None:
            near &= live
        places = np.flatnonzero(near)
        if not len(places):
            return
        queries, columns = np.divmod(places, scores.shape[1])
        with self._lock:
            self._parts.append((queries, columns + start, scores.reshape(-1)[places]))
            self._waiting += len(places)
            self._bounds = np.maximum(self._bounds, bounds)
            if self._waiting > self._limit:
                self._tighten()

    def of_queries(self) -> Iterator[NDArray[np.int64]]:
        """Yield the rows of each query, ascending."""
        with self._lock:
            queries, rows, _ = self._tighten()
        ends = np.cumsum(np.bincount(queries, minlength=len(self._slack)))
        yield from map(np.sort, np.split(rows, ends[:-1]))

    def _first_bounds(self, scores: NDArray[np.float32]) -> NDArray[np.float32]:
        """Bound the k-th best scores by maxima of groups: k groups hold k rows that reach them."""
        queries, groups = len(scores), scores.shape[1] // _GROUP
        if groups < self._k:
            return np.full(queries, -np.inf, np.float32)
        grouped = scores[:, : groups * _GROUP].reshape(queries, _GROUP, groups).max(axis=1)
        at = groups - self._k
        bounds: NDArray[np.float32] = np.partition(grouped, at, axis=1)[:, at] - self._slack
        return bounds

    def _tighten(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
        """Raise the bounds to what the candidates allow, and drop those that they leave out."""
        none = np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float32)
        queries, rows, scores = map(np.concatenate, zip(none, *self._parts, strict=True))
        order = np.argsort(queries.astype(np.uint16), kind="stable")  # a radix sort
        queries, rows, scores = queries[order], rows[order], scores[order]
        counts = np.bincount(queries, minlength=len(self._slack))
        bounds, ends = self._bounds.copy(), np.cumsum(counts)
        for query in np.flatnonzero(counts >= self._k):
            own = -scores[ends[query] - counts[query] : ends[query]]  # negated: see `near_best`
            worst = -np.partition(own, self._k - 1)[self._k - 1]
            bounds[query] = max(bounds[query], worst - self._slack[query])
        near = scores >= bounds[queries]
        crowd = max(_CROWD, 4 * self._k)
        crowded = np.bincount(queries[near], minlength=len(self._slack)) > crowd
        if crowded.any():
            self.crowded |= crowded
            bounds[crowded] = np.inf
            near &= ~crowded[queries]
        kept = queries[near], rows[near], scores[near]
        self._bounds, self._parts, self._waiting = bounds, [kept], len(kept[0])
        self._limit = 2 * self._waiting + _SPARE
        return kept
