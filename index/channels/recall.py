"""How much of the exact best a FAISS factory finds, how fast, and in how many bytes."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from embedder.types import Representation
from index.base import NO_ROW
from index.channels.approximate import (
    build,
    bytes_of,
    effort_of,
    search,
    search_with,
)
from index.channels.dense import FLAT, DenseChannel

_TIMED = 3
_FACTORS = (1, 2, 4, 8)  # of the effort that a search takes by itself, up and down


@dataclass(frozen=True, slots=True)
class RecallFigure:
    """One way to search, measured.

    Attributes:
        factory: FAISS factory string; "Flat" is exact.
        setting: how hard it searched, e.g. "nprobe 16"; "" where there is nothing to set.
        own: whether an index searches so by itself.
        recall: part of the exact k best that is among the k found, after exact scoring.
        queries_per_second: of all queries at once, on all cores; median of three.
        bytes_per_vector: in memory, the rows that score exactly not counted.
    """

    factory: str
    setting: str
    own: bool
    recall: float
    queries_per_second: float
    bytes_per_vector: float


class RecallTrial:
    """Some rows and queries, and the best that exact search finds.

    Args:
        vectors: (n, dim) float32.
        queries: (q, dim) float32.
        k: at least 1, at most n.
    """

    def __init__(self, vectors: NDArray[np.float32], queries: NDArray[np.float32], k: int) -> None:
        self._vectors = vectors
        self._queries = np.ascontiguousarray(queries)
        self._k = k
        self._channel = DenseChannel(vectors)
        self._least = self._exact()[:, -1]  # of equal vectors any will do

    def flat(self) -> RecallFigure:
        """Measure exact search."""
        speed = self._speed(self._exact)
        return RecallFigure(FLAT, "", True, 1.0, speed, 4.0 * self._vectors.shape[1])

    def figures(self, factory: str) -> Iterator[RecallFigure]:
        """Yield what a factory does as an index searches it, then with other settings.

        Raises:
            ValueError: the factory is wrong, or needs more rows to train.
        """
        index, k = build(factory, self._vectors), self._k
        size = bytes_of(index) / len(self._vectors)
        name, own, most = effort_of(index, factory, k)
        efforts = {own * times for times in _FACTORS} | {-(-own // times) for times in _FACTORS}
        for effort in [own, *sorted({min(each, most) for each in efforts} - {own})]:

            def candidates(effort: int = effort) -> NDArray[np.int64]:
                if effort == own:
                    return search(index, factory, self._queries, k, None)
                return search_with(index, factory, self._queries, k, effort)

            def scored(candidates: Callable[[], NDArray[np.int64]] = candidates) -> object:
                return self._scores(candidates())

            recall = float((self._scores(candidates()) >= self._least[:, None]).sum(axis=1).mean())
            setting = f"{name} {effort}" if name else ""
            yield RecallFigure(
                factory, setting, effort == own, recall / k, self._speed(scored), size
            )

    def _exact(self) -> NDArray[np.float32]:
        rows = Representation(self._queries, None, np.arange(len(self._queries)))
        return self._channel.search(rows, self._k).scores

    def _scores(self, candidates: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the k best exact scores of candidates, (q, k), -inf where there are fewer."""
        best = np.full((len(candidates), self._k), -np.inf, np.float32)
        for query, rows in enumerate(candidates):
            known = rows[rows != NO_ROW]
            exact = self._vectors[known].astype(np.float64) @ self._queries[query].astype(float)
            kept = np.sort(exact.astype(np.float32))[::-1][: self._k]
            best[query, : len(kept)] = kept
        return best

    def _speed(self, call: Callable[[], object]) -> float:
        seconds = []
        for _ in range(_TIMED):
            started = time.perf_counter()
            call()
            seconds.append(time.perf_counter() - started)
        return float(len(self._queries) / np.median(seconds))
