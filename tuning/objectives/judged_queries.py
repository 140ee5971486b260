"""Queries with their judgements, as tuning takes them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from embedder.files.content_hash import content_hash
from eval.data.qrels import Qrels
from eval.measures.measures import check_measure, evaluate
from index.folder import Index
from retrieval.run import Run

ROUNDING = 1e-6  # by which a measure may be above 1


@dataclass(frozen=True, slots=True)
class JudgedQueries:
    """Queries with their judgements.

    Attributes:
        queries: query id -> text; all of them are judged, with something relevant.
        qrels: judgements of these queries.
        measure: by which they are judged, e.g. nDCG@10; in 0..1.
    """

    queries: Mapping[str, str]
    qrels: Qrels
    measure: str = "nDCG@10"

    @staticmethod
    def of(queries: Mapping[str, str], qrels: Qrels, measure: str = "nDCG@10") -> "JudgedQueries":
        """Take the queries that are judged and have something relevant.

        Raises:
            ValueError: there is none, a judged query has no text, or the measure is unknown.
        """
        check_measure(measure)
        judged = {query for query, gains in qrels.items() if max(gains.values(), default=0) > 0}
        missing = sorted(judged - queries.keys())
        if missing:
            raise ValueError(
                f"{len(missing)} judged queries have no text, e.g. {missing[0]!r}; "
                "give the queries that the judgements are of"
            )
        if not judged:
            raise ValueError("no query is judged to have a relevant document")
        texts = {query: text for query, text in queries.items() if query in judged}
        return JudgedQueries(texts, {query: qrels[query] for query in texts}, measure)

    def answered_in(self, index: Index) -> "JudgedQueries":
        """Keep the queries that have a relevant document in an index; the others score 0 always.

        Raises:
            ValueError: there is none.
        """
        known = set(index.ids())
        answered = {query for query in self.queries if self.relevant_of(query) & known}
        if not answered:
            raise ValueError(f"{index.path} has none of the documents that are judged relevant")
        queries = {query: text for query, text in self.queries.items() if query in answered}
        return JudgedQueries(queries, {query: self.qrels[query] for query in queries}, self.measure)

    def judge(self, run: Run, query_ids: Sequence[str]) -> NDArray[np.float64]:
        """Return the score of each query in a run.

        Raises:
            ValueError: the measure is not in 0..1.
        """
        qrels = {query: self.qrels[query] for query in query_ids}
        values = evaluate(run, qrels, [self.measure])[self.measure]
        scores = np.array([values[query] for query in query_ids], np.float64)
        if not ((scores >= 0) & (scores <= 1 + ROUNDING)).all():
            raise ValueError(
                f"tuning needs a measure in 0..1, such as nDCG@10; {self.measure} gives "
                f"{scores.min():g} to {scores.max():g}"
            )
        return scores

    def key_of(self, query_id: str) -> str:
        """Return 16 hex digits that stand for a query, its judgements and the measure."""
        gains = dict(sorted(self.qrels[query_id].items()))
        return content_hash([query_id, self.queries[query_id], gains, self.measure])

    @property
    def relevant(self) -> dict[str, frozenset[str]]:
        """Query id -> its relevant documents."""
        return {query: self.relevant_of(query) for query in self.qrels}

    def relevant_in(self, index: Index) -> dict[str, frozenset[str]]:
        """Query id -> its relevant documents that an index holds; judgements may know others."""
        known = frozenset(index.ids())
        return {query: answers & known for query, answers in self.relevant.items()}

    def relevant_of(self, query_id: str) -> frozenset[str]:
        """Return the relevant documents of a query."""
        gains = self.qrels[query_id].items()
        return frozenset(document for document, gain in gains if gain > 0)
