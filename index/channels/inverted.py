"""Exact search of a sparse channel: weights of postings, and the rows they favour."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from embedder.types import Representation
from index.base import Hits
from index.channels.postings import Postings
from index.channels.threads import cores, pool
from index.channels.weighting import (
    Statistics,
    Weighting,
    inverse_frequency,
    length_norms,
    weigh_counts,
)
from index.storage.arrays import read_only
from index.topk import BestRows, check_k, check_live, near_best

if TYPE_CHECKING:  # numba takes half a second to load
    from index.channels.pruning.pruned import PrunedPostings

_WORTH_COMPILING = 20_000_000  # work that numpy does in the half second that numba takes to load
_PRUNED = 1 << 15  # rows from which on leaving out some pays
_BEST = 1 / 128  # share of the rows, wanted, up to which it does
_CHUNK = 1 << 16  # entries that are weighed at a time
_SHARES = 4  # parts of the queries for each thread, so that none waits long for the others,
_UNEVEN = 20_000_000  # from so many entries on


_Searcher = Callable[[tuple[int, int]], None]


@dataclass(frozen=True, slots=True, eq=False)
class _QueryPlan:
    """Queries as entries of postings.

    Attributes:
        bounds: (q + 1,) int64: terms of query i are bounds[i] to bounds[i + 1].
        terms: (n,) int64 position of each term in the postings; ascending within a query, so that
            a row's parts are always added in the same order.
        entries: (n, 2) int64 first entry of each term, and the one after its last.
        factors: (n,) float32 weight of each term in its query.
        floors: (q,) float32: no row of a lower score is wanted; 0 wants all.
    """

    bounds: NDArray[np.int64]
    terms: NDArray[np.int64]
    entries: NDArray[np.int64]
    factors: NDArray[np.float32]
    floors: NDArray[np.float32]

    @property
    def work(self) -> int:
        """Entries to be added up, of all queries."""
        return int((self.entries[:, 1] - self.entries[:, 0]).sum())


class InvertedChannel:
    """Postings of one segment, weighed by the statistics of all.

    Small work is done with numpy; numba, which takes half a second to load, once there has been
    enough; many rows are searched by bounds then, which leave out most entries. All give the same
    bits: a row's parts are added in float32 in order of their columns.

    Args:
        postings: of this segment.
        weighting: what a stored weight is worth.
        statistics: statistics of all segments.
        pruned_from: number of rows from which on searches leave out what bounds rule out, unless
            many rows are wanted.

    Attributes:
        statistics: as given.
        prunes: whether searches leave out what bounds rule out, once there are many.
    """

    def __init__(
        self,
        postings: Postings,
        weighting: Weighting,
        statistics: Statistics,
        pruned_from: int = _PRUNED,
    ) -> None:
        self._postings = postings
        self._weighting = weighting
        self.statistics = statistics
        self.prunes = postings.rows >= pruned_from
        self._done = 0  # entries added up and scores looked at, so far

    @property
    def rows(self) -> int:
        """Number of rows, deleted ones included."""
        return self._postings.rows

    def search(
        self,
        queries: Representation,
        k: int,
        live: NDArray[np.bool_] | None = None,
        floors: NDArray[np.float32] | None = None,
    ) -> Hits:
        """Return the k best rows that score above 0; ties go to the lower row.

        Args:
            queries: with sparse rows.
            k: at least 1.
            live: (rows,) True where a row may be returned; None means all.
            floors: (q,) scores below which a query wants no row, as the k-th best of other
                segments is; such rows may be returned all the same. None, or -inf, wants all.

        Raises:
            ValueError: queries have no sparse rows, k is below 1 or live has another shape.
        """
        check_k(k)
        check_live(live, self.rows)
        if queries.sparse is None:
            raise ValueError("an inverted channel needs sparse query rows; got dense ones only")
        plan = self._plan(queries.sparse, floors)
        collected = BestRows(len(queries), k)
        self._done += plan.work + len(queries) * self.rows
        if self._done < _WORTH_COMPILING:
            self._search_few(plan, collected, live)
        else:
            self._search_many(plan, collected, live)
        return collected.hits()

    def prepare(self) -> None:
        """Load now what many searches need, not when enough of them have come: for servers."""
        self._done = _WORTH_COMPILING
        none, nothing = np.zeros(1, np.int64), np.zeros(0, np.float32)
        plan = _QueryPlan(none, none[:0], np.zeros((0, 2), np.int64), nothing, nothing)
        self._search_many(plan, BestRows(0, 1), None)

    def contributions(self, query_row: csr_matrix, row: int) -> dict[int, float]:
        """Return what each term of one query adds to the score of a row; terms it has only.

        Args:
            query_row: (1, vocab).
            row: 0 <= row < rows.
        """
        if query_row.shape[0] != 1 or not 0 <= row < self.rows:
            raise ValueError(
                f"expected one query and a row below {self.rows}; got {query_row.shape[0]}, {row}"
            )
        plan = self._plan(query_row)
        added: dict[int, float] = {}
        for term, factor in zip(plan.terms, plan.factors, strict=True):
            at = self._postings.find(term, row)
            if at is not None:
                part = factor * self._weigh(at, at + 1, self._idf[term])[1][0]
                added[int(self._postings.terms[term])] = float(part)
        return added

    def _plan(self, queries: csr_matrix, floors: NDArray[np.float32] | None = None) -> _QueryPlan:
        vocabulary = self._postings.terms
        columns = np.asarray(queries.indices, np.int64)
        at = np.minimum(np.searchsorted(vocabulary, columns), max(len(vocabulary) - 1, 0))
        known = vocabulary[at] == columns if len(vocabulary) else np.zeros(len(columns), np.bool_)
        if self._weighting.drop_ubiquitous:
            known &= self.statistics.frequency_of(columns) < self.statistics.documents
        terms = at[known]
        before = np.concatenate([[0], np.cumsum(known)])
        wanted = np.zeros(queries.shape[0], np.float32) if floors is None else np.maximum(floors, 0)
        return _QueryPlan(
            bounds=before[queries.indptr],
            terms=terms,
            entries=np.stack([self._postings.indptr[terms], self._postings.indptr[terms + 1]], 1),
            factors=queries.data[known].astype(np.float32, copy=False),
            floors=wanted,
        )

    @cached_property
    def _idf(self) -> NDArray[np.float32]:
        """Inverse document frequency of each term; 1 where weights are taken as they are."""
        return inverse_frequency(self.statistics, self._weighting, self._postings.terms)

    @cached_property
    def _norms(self) -> NDArray[np.float32]:
        """What BM25 adds to a count in the denominator, by row."""
        return length_norms(self.statistics, self._weighting, self._postings.lengths)

    def _weigh(
        self, start: int, end: int, idf: np.float32 | NDArray[np.float32]
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return the rows of entries start to end - 1, and what these are worth."""
        holders = self._postings.holders(start, end)
        counts = self._postings.weights(slice(start, end))
        if self._weighting.kind == "impacts":
            return holders, counts
        return holders, weigh_counts(counts, self._norms.take(holders), idf)

    @cached_property
    def weights(self) -> NDArray[np.float32]:
        """What each entry is worth, (entries,) float32, read-only."""
        postings = self._postings
        if self._weighting.kind == "impacts":
            return read_only(postings.weights(slice(None)))
        weights = np.empty(len(postings.low), np.float32)
        idf = np.repeat(self._idf, np.diff(postings.indptr))
        for start in range(0, len(weights), _CHUNK):
            end = min(start + _CHUNK, len(weights))
            _, weights[start:end] = self._weigh(start, end, idf[start:end])
        return read_only(weights)

    def _search_few(
        self, plan: _QueryPlan, collected: BestRows, live: NDArray[np.bool_] | None
    ) -> None:
        for query in range(len(collected.rows)):
            scores = np.zeros(self.rows, np.float32)
            for term in range(plan.bounds[query], plan.bounds[query + 1]):
                start, end = plan.entries[term]
                rows, weights = self._weigh(start, end, self._idf[plan.terms[term]])
                scores[rows] += plan.factors[term] * weights
            scores[scores == 0] = -np.inf
            best = near_best(scores, collected.rows.shape[1], 0.0, live)
            collected.fill(query, best, scores[best])

    @cached_property
    def _checked(self) -> Postings:
        """The postings, looked at: compiled code reads and writes wherever they point."""
        try:
            self._postings.check_places()
        except ValueError as error:
            raise ValueError(f"{error}; build the index again") from error
        return self._postings

    def _search_many(
        self, plan: _QueryPlan, collected: BestRows, live: NDArray[np.bool_] | None
    ) -> None:
        queries = len(collected.rows)
        mask = np.zeros(0, np.bool_) if live is None else np.ascontiguousarray(live)
        search = (
            self._pruned_searcher(plan, collected, mask)
            if self._pruning_pays(plan, collected.rows.shape[1])
            else self._full_searcher(plan, collected, mask)
        )
        threads = min(cores(), queries)
        if threads <= 1:
            search((0, queries))
            return
        shares = threads * (_SHARES if plan.work > _UNEVEN else 1)
        cuts = np.linspace(0, queries, min(shares, queries) + 1).astype(int).tolist()
        first, *other_spans = pairwise(cuts)
        others = pool(os.getpid(), threads).map(search, other_spans)
        search(first)
        list(others)

    def _pruning_pays(self, plan: _QueryPlan, k: int) -> bool:
        """Tell whether leaving out rows by bounds is possible, and worth its cost."""
        if not self.prunes or k > self.rows * _BEST:
            return False
        from index.channels.pruning.search import MOST_TERMS

        return int(np.diff(plan.bounds).max(initial=0)) <= MOST_TERMS

    def _full_searcher(
        self, plan: _QueryPlan, collected: BestRows, mask: NDArray[np.bool_]
    ) -> _Searcher:
        from index.channels import scoring

        postings = self._checked
        store = scoring.Store(read_only(postings.low), self.weights, self.rows)
        parts, counts = postings.parts.of(plan.terms)
        arrays = scoring.PlanArrays(
            bounds=np.concatenate([[0], np.cumsum(counts)])[plan.bounds],
            entries=np.stack([postings.parts.starts[parts], postings.parts.starts[parts + 1]], 1),
            bases=postings.parts.first_rows(parts),
            factors=np.repeat(plan.factors, counts),
        )
        best = scoring.Best(collected.rows, collected.scores)

        def search(span: tuple[int, int]) -> None:
            scoring.search_range(span, arrays, store, mask, best)

        return search

    def _pruned_searcher(
        self, plan: _QueryPlan, collected: BestRows, mask: NDArray[np.bool_]
    ) -> _Searcher:
        from index.channels.pruning.state import Plan

        dead = len(mask) - int(mask.sum())
        asked = Plan(plan.bounds, plan.terms, plan.factors, self._idf[plan.terms], plan.floors)
        return self._pruned.searcher(asked, collected, mask, dead)

    @cached_property
    def _pruned(self) -> "PrunedPostings":
        from index.channels.pruning.pruned import PrunedPostings

        plain = self._weighting.kind == "impacts"
        return PrunedPostings(self._checked, np.zeros(0, np.float32) if plain else self._norms)
