"""Search of a sparse channel by Lucene: all segments as one index, with its own statistics."""

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from functools import cached_property
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from embedder.lucene.jvm import java_class, java_errors, to_json
from embedder.types import Representation
from index.base import Hits
from index.channels.weighting import Weighting
from index.lucene.narrowed import narrowed_reader
from index.lucene.segment_files import LuceneRows
from index.lucene.writing import FIELD, SCALE, similarity_of
from index.topk import BestRows, check_k

_READERS = "([Lorg/apache/lucene/index/IndexReader;)V"
_READER = "(Lorg/apache/lucene/index/IndexReader;)V"
_ALL = 2**31 - 1


class LuceneChannel:
    """Rows of all segments, weighed by Lucene's statistics of all.

    Deleted rows are never returned, but count in the statistics until a merge, as always in
    Lucene. Lucene keeps lengths of rows to about 4 bits (SmallFloat.intToByte4), so scores of
    BM25 differ a little from those of `InvertedChannel`.

    Args:
        weighting: what a stored weight is worth.
        parts: of each segment.
        live: for each segment (rows,) True where a row may be returned, or None for all.
    """

    def __init__(
        self,
        weighting: Weighting,
        parts: Sequence[LuceneRows],
        live: Sequence[NDArray[np.bool_] | None],
    ) -> None:
        self._weighting = weighting
        self._parts = parts
        self._live = live
        self._starts = [0, *accumulate(part.rows for part in parts)]
        self._kept: NDArray[np.bool_] | None = None  # rows that may be found
        self._whole = self  # has the searcher of all rows, once there is one

    def among(self, rows: Sequence[NDArray[np.bool_]]) -> "LuceneChannel":
        """Return the same channel, of which only some live rows are found: a mask a segment."""
        other = copy(self)
        other._kept = np.concatenate(rows)
        return other

    def search(self, queries: Representation, k: int) -> Hits:
        """Return the k best rows that score above 0; ties go to the lower row.

        Raises:
            ValueError: a file is damaged, or Java cannot be had.
        """
        check_k(k)
        assert queries.sparse is not None
        texts = [self._words(queries.sparse[at]) for at in range(len(queries))]
        collected = BestRows(len(queries), k)
        # Java is called by one thread at a time.
        with java_errors("Lucene's search"), self._opened() as searcher:
            parser = _query_parser()
            for at, text in enumerate(texts):
                if text:
                    self._fill(collected, at, parser.parse(text), searcher)
        return collected.hits()

    def contributions(self, query: csr_matrix, row: int) -> Mapping[int, float]:
        """Return what each term of one query adds to the score of a row.

        For BM25 as Lucene explains it; its explanation of impacts leaves the query's weight out.
        """
        if self._weighting.kind == "impacts":
            return self._products(query, row)
        parser, searcher = _query_parser(), self._whole._searcher
        parts: dict[int, float] = {}
        with java_errors("Lucene's search"):
            for word in self._words(query).split():
                found = searcher.explain(parser.parse(word), row)
                if found.isMatch():
                    parts[int(word.partition("^")[0])] = float(found.getValue().floatValue())
        return parts

    def _products(self, query: csr_matrix, row: int) -> Mapping[int, float]:
        at = bisect_right(self._starts, row) - 1
        frequencies = self._parts[at].frequencies(row - self._starts[at])
        pairs = (word.split("^") for word in self._words(query).split())
        return {
            int(column): float(weight) * frequencies[int(column)]
            for column, weight in pairs
            if int(column) in frequencies
        }

    def _fill(self, collected: BestRows, at: int, query: Any, searcher: Any) -> None:  # noqa: ANN401
        hits = to_json(searcher.search(query, collected.rows.shape[1]))["scoreDocs"]
        collected.rows[at, : len(hits)] = [hit["doc"] for hit in hits]
        collected.scores[at, : len(hits)] = [hit["score"] for hit in hits]

    def _words(self, query: csr_matrix) -> str:
        """Write a query as Lucene's parser reads it: "column^weight", one for each term."""
        weights = np.asarray(query.data, np.float64)
        if self._weighting.kind == "impacts":
            weights = np.rint(weights * SCALE)
        kept = weights > 0
        if self._weighting.drop_ubiquitous:
            kept &= self.shares(query.indices.astype(np.int64)) < 1
        pairs = zip(query.indices[kept].tolist(), weights[kept].astype(np.float32), strict=True)
        return " ".join(
            f"{column}^{np.format_float_positional(weight, trim='-')}" for column, weight in pairs
        )

    def shares(self, columns: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return in which share of the rows each column stands, deleted ones included."""
        reader = self._whole._searcher.getIndexReader()
        term = java_class("org.apache.lucene.index.Term")
        with java_errors("Lucene's search"):
            holders = [reader.docFreq(term(FIELD, str(column))) for column in columns.tolist()]
        return np.array(holders, np.float64) / np.float64(max(reader.maxDoc(), 1))

    @contextmanager
    def _opened(self) -> Iterator[Any]:
        """Give the searcher of the rows that may be found."""
        searcher = self._whole._searcher
        if self._kept is None:
            yield searcher
            return
        with narrowed_reader(searcher.getIndexReader(), self._kept) as reader:
            yield self._searcher_of(reader)

    @cached_property
    def _searcher(self) -> Any:  # noqa: ANN401 - a Java object, which threads may share
        readers = [part.reader(live) for part, live in zip(self._parts, self._live, strict=True)]
        with java_errors("Lucene's search"):
            multi = java_class("org.apache.lucene.index.MultiReader")(*readers, signature=_READERS)
            return self._searcher_of(multi)

    def _searcher_of(self, reader: Any) -> Any:  # noqa: ANN401
        searchers = java_class("org.apache.lucene.search.IndexSearcher")
        searchers.setMaxClauseCount(_ALL)
        searcher = searchers(reader, signature=_READER)
        searcher.setSimilarity(similarity_of(self._weighting))
        return searcher


def _query_parser() -> Any:  # noqa: ANN401
    """Return a parser, which one thread may use: one call makes a query of any number of terms."""
    whitespace = java_class("org.apache.lucene.analysis.core.WhitespaceAnalyzer")()
    return java_class("org.apache.lucene.queryparser.classic.QueryParser")(FIELD, whitespace)
