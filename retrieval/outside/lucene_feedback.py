"""RM3 and Rocchio by Anserini's own classes, on an index that stores the terms of documents."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from embedder.lucene.jvm import java_class, to_json
from retrieval.feedback.read import Feedback
from retrieval.feedback.rm3 import RM3
from retrieval.outside.lucene_index import CONTENTS
from retrieval.outside.lucene_search import AnseriniSearch

COMMON = 0.1  # Anserini takes no term that stands in more of the documents


@dataclass(frozen=True)
class AnseriniFeedback:
    """Expands queries by the documents that they find first; called within `java_errors`.

    Attributes:
        searcher: of the documents that may be found, and learnt from.
        feedback: how.
        english: whether terms that are not of ASCII letters and digits are left out, as RM3 does
            in Anserini.
    """

    searcher: AnseriniSearch
    feedback: Feedback
    english: bool

    def __post_init__(self) -> None:
        if not self.searcher.index.has_vectors:
            raise ValueError(
                f"{self.searcher.index.path} does not store the terms of each document, which "
                "feedback needs; index it with Anserini's -storeDocvectors"
            )
        if self.feedback.fused or self.feedback.common != COMMON:
            raise ValueError(
                "feedback in a Lucene index is Anserini's: from=fused and common have no place in "
                f"it; got {str(self.feedback)!r}"
            )

    def expand(self, terms: Mapping[str, float]) -> dict[str, float]:
        """Return the weighted terms of the new query; the same ones where nothing is found.

        Args:
            terms: of the query, with their counts.
        """
        if not terms:
            return {}
        query = self.searcher.query(terms)
        found = self.searcher.top(query, self.feedback.documents)
        if not found.docids:
            return dict(terms)
        words = [term for term, count in terms.items() for _ in range(int(count))]
        arguments = java_class("io.anserini.search.SearchCollection$Args")()
        arguments.hits = 1  # of a search that is made again with the terms
        context = java_class("io.anserini.rerank.RerankerContext")(
            self.searcher.searcher,
            "query",
            query,
            None,
            " ".join(words),
            _listed(words),
            self.searcher.only,
            arguments,
        )
        self._reranker.rerank(found, context)
        weights: dict[str, float] = to_json(context.feedbackTerms)
        return {term: weight for term, weight in weights.items() if weight > 0}

    @cached_property
    def _reranker(self) -> Any:  # noqa: ANN401
        spaces = java_class("org.apache.lucene.analysis.core.WhitespaceAnalyzer")()
        feedback = self.feedback
        if isinstance(feedback, RM3):
            return java_class("io.anserini.rerank.lib.Rm3Reranker")(
                spaces, None, CONTENTS, feedback.terms, feedback.documents, feedback.weight,
                False, self.english,
            )  # fmt: skip
        return java_class("io.anserini.rerank.lib.RocchioReranker")(
            spaces, None, CONTENTS, feedback.terms, feedback.documents, 0, 0,
            feedback.alpha, feedback.beta, 0.0, False, False,
        )  # fmt: skip


def _listed(words: list[str]) -> Any:  # noqa: ANN401
    listed = java_class("java.util.ArrayList")()
    for word in words:
        listed.add(word)
    return listed
