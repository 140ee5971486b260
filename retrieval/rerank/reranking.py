"""Reranking: the best documents of a run are read again, each together with the query."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from embedder.arguments import check_count
from embedder.rerank.reranker import PairReranker, Reranker, check_scores
from embedder.types import Float32Array, fingerprint_of
from index.documents import Document
from index.folder import Index
from retrieval.explain import Explanation, RerankedPart
from retrieval.passages.cutting import Span, passage_text
from retrieval.rerank.winners import winning_spans
from retrieval.retriever import BATCH, Retriever
from retrieval.run import Run, SearchResult, cut, ranked, timed

DEPTH = 50  # documents of a query that are read again
_ONLY = "query"  # id of the one query that is explained


@dataclass(frozen=True, slots=True, eq=False)
class RerankedResult(SearchResult):
    """The outcome of a search whose best documents were ranked anew.

    Attributes:
        first: the fused run before.
    """

    first: Run


@dataclass(frozen=True, slots=True)
class Reranking:
    """A reranker, and how many documents of a query it reads.

    Attributes:
        reranker: of `load_reranker`, or one of your own: query, texts -> scores.
        depth: documents of each query that are read, the best of the search.

    >>> reranking = lw.Reranking(lw.load_reranker("maxsim", model=encoder), depth=2)
    >>> hits = index.search("how do I rotate a key", rerank=reranking)
    >>> hits[0].id, hits[0].first.rank
    ('1', 1)
    """

    reranker: Reranker
    depth: int = DEPTH

    def __post_init__(self) -> None:
        check_count(self.depth, "rerank_depth", 1)
        if isinstance(self.reranker, type) or not isinstance(self.reranker, Reranker):
            raise TypeError(
                f"a reranker must have score(query, texts); got {type(self.reranker).__name__}"
            )

    @property
    def name(self) -> str:
        """The reranker's name."""
        return str(getattr(self.reranker, "name", type(self.reranker).__name__))

    @property
    def facts(self) -> dict[str, Any]:
        """Everything that changes the ranking, as JSON."""
        fingerprint = getattr(self.reranker, "fingerprint", None)
        return {
            "name": self.name,
            "depth": self.depth,
            "fingerprint": fingerprint or fingerprint_of(kind=self.name),
        }

    @property
    def counts(self) -> Mapping[str, int]:
        """Pairs, tokens and truncated texts since the reranker was made; {} where it is silent."""
        return dict(getattr(self.reranker, "counts", {}))

    def apply(
        self,
        run: Run,
        queries: Mapping[str, str],
        index: Index,
        passages: Mapping[str, Mapping[str, Span]] | None = None,
    ) -> Run:
        """Rank the best documents of each query anew; the others follow as they were.

        A document that was read has the reranker's score; of equal scores the one that was first
        before stays first, and gives way to the other by the least that a float32 can say. Those
        below have the lowest of these less 1, less 2, and so on.

        Args:
            run: query id -> document id -> score.
            queries: query id -> text.
            index: holds the documents, of which title and text are read.
            passages: query id -> document id -> part of the text that is read instead of it all.

        Raises:
            ValueError: a score is NaN or infinite.
        """
        ids, reranked = list(run), {}
        for start in range(0, len(ids), BATCH):
            batch = ids[start : start + BATCH]
            best = {name: [doc for doc, _ in ranked(run[name])] for name in batch}
            asked = []
            for name in batch:
                found, spans = best[name][: self.depth], (passages or {}).get(name, {})
                texts = [_read(index.document(doc), spans.get(doc)) for doc in found]
                asked.append((queries[name], texts))
            for name, scores in zip(batch, self._scores(asked), strict=True):
                reranked[name] = _order(best[name], scores)
        return reranked

    def explain(self, explanation: Explanation, retriever: Retriever) -> RerankedPart:
        """Say what becomes of a document among those that the explained search found."""
        document_id, order = explanation.document.id, list(explanation.found)
        before = order.index(document_id) + 1 if document_id in order else None
        if before is None or before > self.depth:
            return RerankedPart(self.name, self.depth, None, before, before)
        run, passages = {_ONLY: dict(explanation.found)}, {}
        if explanation.result is not None:
            best = {_ONLY: order[: self.depth]}
            passages = winning_spans(retriever, explanation.result, best)
        queries = {_ONLY: explanation.query}
        after = self.apply(run, queries, retriever.index, passages)[_ONLY]
        rank = list(after).index(document_id) + 1
        return RerankedPart(self.name, self.depth, after[document_id], before, rank)

    def _scores(self, asked: Sequence[tuple[str, Sequence[str]]]) -> list[Float32Array]:
        if isinstance(self.reranker, PairReranker):
            return self.reranker.score_many(asked)
        rows = []
        for query, texts in asked:
            row = np.asarray(self.reranker.score(query, texts) if texts else [], np.float32)
            check_scores(row, query, texts)
            rows.append(row)
        return rows


def answer_reranked(
    retriever: Retriever, queries: Mapping[str, str], k: int, reranking: Reranking | None
) -> SearchResult:
    """Search as `Retriever.answer` does, and rank the best documents anew where that is wanted.

    Of a document that was cut into passages the one is read by which the query found it.
    """
    if reranking is None:
        return retriever.answer(queries, k)
    ids, parts = list(queries), list[RerankedResult]()
    for start in range(0, max(len(ids), 1), BATCH):
        batch = {name: queries[name] for name in ids[start : start + BATCH]}
        parts.append(_answer_batch(retriever, batch, k, reranking))
    seconds = Counter[str]()
    for part in parts:
        seconds.update(part.seconds)
    return RerankedResult(
        _joined([part.run for part in parts]),
        {name: _joined([part.channels[name] for part in parts]) for name in parts[0].channels},
        seconds,
        _joined([part.first for part in parts]),
        hits=parts[-1].hits,
    )


def _answer_batch(
    retriever: Retriever, queries: Mapping[str, str], k: int, reranking: Reranking
) -> RerankedResult:
    found = retriever.answer(queries, max(k, reranking.depth))
    seconds = dict(found.seconds)
    with timed(seconds, "rerank"):
        best = {name: list(run)[: reranking.depth] for name, run in found.run.items()}
        passages = winning_spans(retriever, found, best)
        run = reranking.apply(found.run, queries, retriever.index, passages)
    return RerankedResult(cut(run, k), found.channels, seconds, found.run, hits=found.hits)


def _joined(runs: Sequence[Run]) -> Run:
    return {name: scores for run in runs for name, scores in run.items()}


def _read(document: Document, span: Span | None) -> str:
    return document.content if span is None else passage_text(document, span)


def explain_reranked(
    retriever: Retriever,
    query: str,
    document_id: str,
    reranking: Reranking | None,
    pieces: bool = False,
) -> Explanation:
    """Explain as `Retriever.explain` does, and say what a reranker does, where there is one."""
    k = reranking.depth if reranking else 1
    explanation = retriever.explain(query, document_id, pieces=pieces, k=k)
    if reranking is None:
        return explanation
    return replace(explanation, reranked=reranking.explain(explanation, retriever))


def _order(documents: Sequence[str], scores: Float32Array) -> dict[str, float]:
    """Put the first documents in the order of their scores, with scores that fall strictly."""
    order = np.argsort(-scores, kind="stable")
    ordered: dict[str, float] = {}
    last = np.float32(np.inf)
    for at in order:
        last = min(scores[at], np.nextafter(last, np.float32(-np.inf)))
        ordered[documents[at]] = float(last)
    for document in documents[len(scores) :]:
        last = min(last - np.float32(1), np.nextafter(last, np.float32(-np.inf)))
        ordered[document] = float(last)
    return ordered
