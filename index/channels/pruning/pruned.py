"""Postings of one segment as pruned search reads them: blocks at once, bounds when asked for."""

from collections.abc import Callable
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from index.channels.postings import Postings
from index.channels.pruning.blocks import cut_blocks
from index.channels.pruning.bounds import measure_terms, no_bounds
from index.channels.pruning.search import search_range
from index.channels.pruning.state import BlockStore, Plan
from index.channels.scoring import Best
from index.topk import BestRows


class PrunedPostings:
    """Postings in memory, to be searched many times.

    They take 3 to 5 bytes an entry and 100 a term; terms that have been asked for one byte more an
    entry, or one a row where they are frequent.

    Args:
        postings: checked; their files are not read again.
        norms: (rows,) float32: what BM25 adds to the count of each row; empty for impacts.
    """

    def __init__(self, postings: Postings, norms: NDArray[np.float32]) -> None:
        self._blocks = cut_blocks(postings, norms)
        self._bounds = no_bounds(self._blocks)
        self._measured = np.zeros(len(postings.terms), np.bool_)
        self._lock = Lock()

    def searcher(
        self, plan: Plan, collected: BestRows, live: NDArray[np.bool_], dead: int
    ) -> Callable[[tuple[int, int]], None]:
        """Return a search of queries from span[0] to span[1] - 1, which writes the best rows.

        Args:
            plan: all queries; the entries of terms that are asked for the first time are read.
            collected: pads, which are written over.
            live: (rows,) False removes a row; empty keeps all.
            dead: number of rows that are not live.
        """
        with self._lock:  # a bound that is half written would leave out rows
            self._measure(plan)
        store = BlockStore(self._blocks, self._bounds, live, dead)
        best = Best(collected.rows, collected.scores)

        def search(span: tuple[int, int]) -> None:
            search_range(span, plan, store, best)

        return search

    def _measure(self, plan: Plan) -> None:
        new = np.flatnonzero(~self._measured[plan.terms])
        if len(new):
            terms, first = np.unique(plan.terms[new], return_index=True)
            measure_terms(terms, plan.idf[new[first]], self._blocks, self._bounds)
            self._measured[terms] = True
