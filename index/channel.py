"""One channel across the segments of a generation: rows numbered through, searched as one."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import vstack

from embedder.types import Representation, Role
from index.base import NO_ROW, Hits
from index.channels.dense import FLAT, DenseChannel
from index.channels.inverted import InvertedChannel
from index.channels.post_fit import PostFit
from index.channels.postings import Postings
from index.channels.weighting import statistics
from index.lucene.search import LuceneChannel
from index.lucene.segment_files import LuceneRows
from index.manifest import ChannelSpec
from index.segment import Segment, SegmentRows
from index.topk import BestRows


@dataclass(frozen=True, slots=True)
class Match:
    """What one row of a document says to a query.

    Attributes:
        row: number of the row in its channel.
        score: exact, also where the search of the channel is approximate.
        terms: sparse column -> its part of the score; empty for dense rows.
    """

    row: int
    score: float
    terms: Mapping[int, float]

    @staticmethod
    def of_terms(row: int, terms: Mapping[int, float]) -> "Match":
        """Return the match of a sparse row, whose parts add up to the score."""
        return Match(row, sum(terms.values()), terms)


class ChannelRows:
    """All rows of one channel, deleted ones included, in the order of the segments.

    Args:
        spec: of the channel.
        segments: opened.
        document_starts: number of each segment's first document, then the number of all.
    """

    def __init__(
        self, spec: ChannelSpec, segments: Sequence[Segment], document_starts: Sequence[int]
    ) -> None:
        self.spec = spec
        self._fit = spec.post
        self._parts = [segment.channels[spec.name] for segment in segments]
        rows = [part.content.rows for part in self._parts]
        self.starts: list[int] = np.cumsum([0, *rows]).tolist()
        self._searched = _searched(spec, self._parts, self.starts)
        offsets = zip(self._parts, document_starts, strict=False)
        self.documents: NDArray[np.int64] = np.concatenate(
            [np.zeros(0, np.int64), *(part.documents + np.int64(at) for part, at in offsets)]
        )

    @property
    def total(self) -> int:
        """Number of rows."""
        return self.starts[-1]

    def with_fit(self, fit: PostFit | None) -> "ChannelRows":
        """Return the same rows, for queries that another fit changes, or none."""
        other = copy(self)
        other._fit = fit
        return other

    def post_processed(self, fit: PostFit, queries: Sequence[str]) -> "ChannelRows":
        """Return dense rows as post-processing changes them, in memory, searched one by one.

        Args:
            fit: of rows as they were read, which these are.
            queries: pseudo-queries that it was made with.
        """
        other, queries, all_rows = copy(self), tuple(queries), slice(None)
        other.spec = replace(
            self.spec,
            post=fit,
            pseudo_queries=queries,
            dim=fit.width,
            factory=FLAT,
            dtype="float32",
        )
        other._fit = fit
        other._parts = [
            replace(part, content=DenseChannel(fit.change(content.read(all_rows), Role.DOCUMENT)))
            for part in self._parts
            if isinstance(content := part.content, DenseChannel)
        ]
        other._searched = _searched(other.spec, other._parts, self.starts)
        return other

    def among(self, documents: Sequence[NDArray[np.bool_]]) -> "ChannelRows":
        """Return the same rows, of which searches find those of some documents alone.

        What a word is worth stays what it is among all live rows.

        Args:
            documents: for each segment (documents,) True where one is live and may be found.
        """
        other = copy(self)
        other._searched = self._searched.among(
            [
                mask if part.single else mask[part.documents]
                for part, mask in zip(self._parts, documents, strict=True)
            ]
        )
        return other

    def live_rows(self) -> NDArray[np.int64]:
        """Return the numbers of the rows whose documents are not deleted, ascending."""
        live = [
            np.arange(part.content.rows) if part.live is None else part.live.nonzero()[0]
            for part in self._parts
        ]
        places = zip(live, self.starts, strict=False)
        return np.concatenate([np.zeros(0, np.int64), *(rows + start for rows, start in places)])

    def search(self, queries: Representation, k: int) -> Hits:
        """Return the best rows; enough of them for k distinct documents, see `Index.search`."""
        queries = self.prepare(queries)
        if not self._parts:
            rows = np.full((len(queries), k), NO_ROW, np.int64)
            return Hits(rows, np.full(rows.shape, -np.inf, np.float32))
        count = k
        while True:
            hits = self._searched.search(queries, count)
            if count >= self.total or self._enough(hits, k):
                return hits
            count = min(2 * count, self.total)

    def matches(self, query: Representation, segment: int, ordinal: int) -> list[Match]:
        """Score every row of one document, given by segment and ordinal, against one query."""
        query = self.prepare(query)
        if len(query) != 1:
            raise ValueError(f"one query row is matched at a time; got {len(query)}")
        rows = self._parts[segment].of(ordinal)
        return [self._searched.match(query, self.starts[segment] + row) for row in rows]

    def _enough(self, hits: Hits, k: int) -> bool:
        """Tell whether every query has k distinct documents, or all that it can have."""
        if all(part.single for part in self._parts):
            return True
        for rows in hits.rows:
            if rows[-1] != NO_ROW and len(np.unique(self.documents[rows])) < k:
                return False
        return True

    def read(self, rows: NDArray[np.int64]) -> Representation:
        """Return stored rows by number, in the order given; words before they are weighed."""
        parts = np.searchsorted(self.starts, rows, side="right") - 1
        order = np.argsort(parts, kind="stable")
        read = [
            self._parts[at].content.read(rows[parts == at] - self.starts[at])
            for at in np.unique(parts).tolist() or [0]
        ]
        back, owner = np.argsort(order), np.arange(len(rows))
        if self.spec.kind == "dense":
            return Representation(np.concatenate(read)[back], None, owner)
        return Representation(None, vstack(read, format="csr")[back], owner)

    def shares(self, columns: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return in which share of the live rows each column of an inverted channel stands."""
        return self._searched.shares(columns)

    def prepare(self, queries: Representation) -> Representation:
        """Return query rows as they are compared with those that are held.

        Raises:
            ValueError: they are of another kind or width.
        """
        if self._fit is not None:
            queries = self._fit.change_rows(queries, Role.QUERY)
        self._check(queries)
        return queries

    def _check(self, queries: Representation) -> None:
        query_rows = queries.dense if self.spec.kind == "dense" else queries.sparse
        if query_rows is None:
            kind = "dense" if self.spec.kind == "dense" else "sparse"
            raise ValueError(f"channel {self.spec.name!r} needs {kind} query rows; got none")
        if self.spec.dim is not None and query_rows.shape[1] != self.spec.dim:
            raise ValueError(
                f"channel {self.spec.name!r} holds rows of width {self.spec.dim}; "
                f"queries have {query_rows.shape[1]}"
            )


class _Searched(Protocol):
    """What is searched of a channel: rows numbered through all segments."""

    def search(self, queries: Representation, k: int) -> Hits:
        """Return the k best rows that are not deleted; ties go to the lower row."""
        ...

    def among(self, rows: Sequence[NDArray[np.bool_]]) -> "_Searched":
        """Return the same, of which only some live rows are found: a mask for each segment."""
        ...

    def match(self, query: Representation, row: int) -> Match:
        """Score one row against a query of one row."""
        ...

    def shares(self, columns: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return in which share of the rows each column stands; 0 where rows are dense."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class _Segments:
    """Segments that are searched one by one; their hits are merged.

    Attributes:
        channels: of each segment.
        live: for each segment (rows,) True where a row is not deleted; None means all.
        starts: number of each segment's first row.
    """

    channels: Sequence[DenseChannel | InvertedChannel]
    live: Sequence[NDArray[np.bool_] | None]
    starts: Sequence[int]

    def search(self, queries: Representation, k: int) -> Hits:
        best = BestRows(len(queries), k)
        for channel, live, start in zip(self.channels, self.live, self.starts, strict=True):
            if isinstance(channel, InvertedChannel):
                hits = channel.search(queries, k, live, floors=best.floors)
            else:
                hits = channel.search(queries, k, live)
            best.take_in(hits, start)
        return best.hits()

    def among(self, rows: Sequence[NDArray[np.bool_]]) -> "_Segments":
        return replace(self, live=rows)

    def match(self, query: Representation, row: int) -> Match:
        at = bisect_right(self.starts, row) - 1
        channel, own = self.channels[at], row - self.starts[at]
        if isinstance(channel, InvertedChannel) and query.sparse is not None:
            return Match.of_terms(row, channel.contributions(query.sparse, own))
        if isinstance(channel, DenseChannel) and query.dense is not None:
            vector = channel.read(slice(own, own + 1))[0].astype(np.float64)
            return Match(row, float(np.float32(vector @ query.dense[0])), {})
        raise AssertionError("the kinds of query and channel were not checked")

    def shares(self, columns: NDArray[np.int64]) -> NDArray[np.float64]:
        if not self.channels or isinstance(self.channels[0], DenseChannel):
            return np.zeros(len(columns))
        statistics = self.channels[0].statistics
        return statistics.frequency_of(columns) / max(statistics.documents, 1)


@dataclass(frozen=True, slots=True, eq=False)
class _Lucene:
    """A channel that Lucene searches, all segments at once."""

    channel: LuceneChannel

    def search(self, queries: Representation, k: int) -> Hits:
        return self.channel.search(queries, k)

    def among(self, rows: Sequence[NDArray[np.bool_]]) -> "_Lucene":
        return _Lucene(self.channel.among(rows))

    def match(self, query: Representation, row: int) -> Match:
        assert query.sparse is not None
        return Match.of_terms(row, self.channel.contributions(query.sparse, row))

    def shares(self, columns: NDArray[np.int64]) -> NDArray[np.float64]:
        return self.channel.shares(columns)


def _searched(spec: ChannelSpec, parts: Sequence[SegmentRows], starts: Sequence[int]) -> _Searched:
    """Return what is searched of the segments; postings are weighed by those of all segments."""
    live = [part.live for part in parts]
    dense = [part.content for part in parts if isinstance(part.content, DenseChannel)]
    postings = [part.content for part in parts if isinstance(part.content, Postings)]
    lucene = [part.content for part in parts if isinstance(part.content, LuceneRows)]
    if spec.weighting is None:
        return _Segments(dense, live, starts[:-1])
    if spec.form == "lucene":
        return _Lucene(LuceneChannel(spec.weighting, lucene, live))
    totals = statistics(postings, live)
    inverted = [InvertedChannel(own, spec.weighting, totals) for own in postings]
    return _Segments(inverted, live, starts[:-1])
