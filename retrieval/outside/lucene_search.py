"""Search a Lucene index by weighted terms, among all of its documents or some."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from embedder.lucene.jvm import java_class
from retrieval.outside.lucene_index import CONTENTS, ID, AnseriniIndex

_READER = "(Lorg/apache/lucene/index/IndexReader;)V"
MOST_TERMS = 1 << 16  # of a query; Lucene's own limit is 1,024


@dataclass(frozen=True)
class AnseriniSearch:
    """The searcher of an index, called within `java_errors`.

    Attributes:
        index: that is searched.
        similarity: Java's, what a term is worth.
        only: Java's query for the documents that may be found; None for all.
    """

    index: AnseriniIndex
    similarity: Any
    only: Any = None

    def best(self, terms: Mapping[str, float], k: int) -> dict[str, float]:
        """Return the k best documents by id, best first; of equal scores the id that sorts first.

        Args:
            terms: term -> weight above 0, by which its part of a score is multiplied.
            k: at least 1.
        """
        if not terms:
            return {}
        return self.found(self.query(terms), k)

    def found(self, query: Any, k: int) -> dict[str, float]:  # noqa: ANN401
        """Return what Java's query finds, as `best` does."""
        asked = k
        while True:
            documents = self.top(query, asked)
            scores: dict[str, float] = {}
            for document, score in zip(documents.docids, documents.scores, strict=True):
                if document is not None and len(scores) < k:
                    scores.setdefault(str(document), float(score))  # the best of one id
            if len(scores) == k or len(documents.docids) < asked:
                return scores
            asked *= 2  # documents of the same id took the places of others

    def top(self, query: Any, k: int) -> Any:  # noqa: ANN401
        """Return Anserini's ScoredDocs of the k best documents."""
        top = self.searcher.search(self._within(query), k, _best_first(), True)
        return java_class("io.anserini.search.ScoredDocs").fromTopDocs(top, self.searcher)

    def parts(self, terms: Mapping[str, float], document_id: str) -> dict[str, float]:
        """Return the part of each term in the score of a document, of those that it holds."""
        alone = AnseriniSearch(self.index, self.similarity, self.index.only([document_id])[0])
        parts = {word: alone.best({word: weight}, 1) for word, weight in terms.items()}
        return {word: found[document_id] for word, found in parts.items() if document_id in found}

    def query(self, terms: Mapping[str, float]) -> Any:  # noqa: ANN401
        """Return Java's query for weighted terms."""
        weights = java_class("java.util.HashMap")()
        number = java_class("java.lang.Float")
        for term, weight in terms.items():
            weights.put(term, number(weight))
        generator = java_class("io.anserini.search.query.BagOfWordsQueryGenerator")()
        return generator.buildQuery(CONTENTS, weights)

    @cached_property
    def searcher(self) -> Any:  # noqa: ANN401
        """Java's IndexSearcher."""
        searchers = java_class("org.apache.lucene.search.IndexSearcher")
        searchers.setMaxClauseCount(MOST_TERMS)
        searcher = searchers(self.index.reader, signature=_READER)
        searcher.setSimilarity(self.similarity)
        return searcher

    def _within(self, query: Any) -> Any:  # noqa: ANN401
        if self.only is None:
            return query
        occur = java_class("org.apache.lucene.search.BooleanClause$Occur")
        builder = java_class("org.apache.lucene.search.BooleanQuery$Builder")()
        return builder.add(query, occur.MUST).add(self.only, occur.FILTER).build()


def _best_first() -> Any:  # noqa: ANN401
    """Return Java's order by score, then by id, as Anserini's searchers have it."""
    field = java_class("org.apache.lucene.search.SortField")
    by_id = field(ID, java_class("org.apache.lucene.search.SortField$Type").STRING_VAL)
    return java_class("org.apache.lucene.search.Sort")(field.FIELD_SCORE, by_id)


def bm25(k1: float, b: float) -> Any:  # noqa: ANN401
    """Return Java's BM25."""
    return java_class("org.apache.lucene.search.similarities.BM25Similarity")(k1, b)


def impact() -> Any:  # noqa: ANN401
    """Return Java's similarity that adds weight of the query times weight of the document."""
    return java_class("io.anserini.search.similarity.ImpactSimilarity")()
