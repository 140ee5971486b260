"""The search engine: an index with the encoders that it names; ids and texts in and out."""

import warnings
from collections.abc import Mapping, Sequence

from embedder.arguments import check_count, check_names, check_query, check_text
from embedder.types import Encoder
from lastword.documents import name_queries
from lastword.hits import SearchHits, list_hits
from lastword.open_documents import OpenDocuments
from lastword.reranking import Rerank
from retrieval.explain import Explanation
from retrieval.feedback.read import AnyFeedback
from retrieval.fusion_choice import AUTO
from retrieval.rerank.reranking import DEPTH, answer_reranked, explain_reranked
from retrieval.retriever import Retriever
from retrieval.run import Run

_ONLY = "query"  # id of a query that is asked alone


class SearchEngine(OpenDocuments):
    """An index that is open for searching, and for adding and deleting documents.

    It sees the index as it was opened, and its own changes; other programs' changes show when it
    is opened again. Threads may search it together, while one of them adds or deletes. Close it,
    or use it in a `with` block.

    Attributes:
        path: folder of the index.
        report: of the last build or addition; None where nothing was built.

    >>> texts = ["green tea is steeped for three minutes", "rotate the key at night"]
    >>> with lw.build(None, texts) as index:
    ...     print(len(index), "documents, best:", index.search("change keys", k=1)[0].id)
    2 documents, best: 1
    """

    def __repr__(self) -> str:
        fusion = f", fused by {self.fusion}" if len(self.channels) > 1 else ""
        return f"<index {self.path}: {len(self)} documents; {', '.join(self.channels)}{fusion}>"

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the channels that are searched.

        >>> index.channels
        ('dense', 'sparse', 'bm25')
        """
        return self._shared.now.channels

    @property
    def encoders(self) -> Mapping[str, Encoder]:
        """The encoder of each channel.

        >>> index.encoders["dense"] is index.encoders["sparse"]  # one pass gives both
        True
        """
        return dict(self._shared.now.encoders)

    @property
    def fusion(self) -> str:
        """How channels become one ranking.

        >>> index.fusion
        'minmax:dense=0.24,sparse=0.18,bm25=0.58'
        """
        return self._shared.now.fusion

    @property
    def retriever(self) -> Retriever:
        """The retriever below, for runs of single channels and other detail.

        >>> result = index.retriever.answer({"q": "tea"}, k=1)
        >>> list(result.channels["bm25"]["q"])
        ['0']
        """
        with self._shared.reading() as retriever:
            return retriever

    def with_channels(self, channels: Sequence[str], fusion: str = AUTO) -> "SearchEngine":
        """Return an engine of the same open index that searches some of its channels.

        It sees the index as this one does now, and is of use until this one is closed.

        Args:
            channels: some of `channels`.
            fusion: as for `lastword.open`.

        Raises:
            ValueError: it does not search these, channels outside of the index are searched too,
                or there is no such fusion.

        >>> index.with_channels(["bm25"]).search("tea")[0].channels.keys()
        dict_keys(['bm25'])
        """
        check_names(channels, "channels")
        with self._shared.reading() as retriever:
            encoders = retriever.encoders
            if retriever.outside or set(channels) - encoders.keys() or not channels:
                raise ValueError(
                    f"channels takes some of {', '.join(encoders)}, and none where others are "
                    f"searched along; got {', '.join(channels) or 'none'}"
                )
            kept = {name: encoders[name] for name in encoders if name in channels}
            return SearchEngine(Retriever(retriever.index, kept, fusion, retriever.depth))

    def search(
        self,
        query: str,
        k: int = 10,
        feedback: AnyFeedback = None,
        rerank: Rerank | None = None,
        rerank_depth: int = DEPTH,
        *,
        filter: str | None = None,  # noqa: A002  (the word of the command)
    ) -> SearchHits:
        """Return the k best documents, ranked as `lastword search` ranks them.

        Args:
            query: one text, not empty.
            k: at least 1.
            feedback: "rm3" or "rocchio", perhaps with settings, "rm3:documents=5": the query
                learns from what it finds first.
            rerank: what reads the best documents again, each with the query: "prompt" or "maxsim",
                by the language model of the index, "cross-encoder:NAME", a reranker of
                `lastword.load_reranker` or of your own, or a `Reranking` with its depth.
            rerank_depth: how many it reads; they stand before all others.
            filter: a condition on metadata, as in 'year >= 2020 and "tax" in tags': the best of
                the documents that meet it.

        Raises:
            TypeError: the query is no str; for several, see `search_many`.
            ValueError: it is empty, k is less than 1, there is no such feedback, or the filter
                cannot be read.

        Warns:
            UserWarning: no document has a field of the filter, or a value of such a kind.

        >>> index.search("how do I rotate a key", k=1)
        #   score  dense  sparse  bm25  id  text
        1  1.0000      1       1     1  1   rotate the key at night
        """
        _check_worded(query, "; search_many takes several")
        with self._shared.reading() as retriever:
            again = self._rerankers.choose(rerank, rerank_depth, retriever.encoders)
            learning = _prepared(retriever, feedback, filter)
            result = answer_reranked(learning, {_ONLY: query}, check_count(k, "k"), again)
            return list_hits(result, {_ONLY: query}, retriever)[_ONLY]

    def search_many(
        self,
        queries: Mapping[str, str] | Sequence[str],
        k: int = 1000,
        feedback: AnyFeedback = None,
        rerank: Rerank | None = None,
        rerank_depth: int = DEPTH,
        *,
        filter: str | None = None,  # noqa: A002  (the word of the command)
    ) -> Run:
        """Return a run: query id -> document id -> score, for `lastword.evaluate_run`.

        Args:
            queries: id -> text; or texts, whose ids are then "0", "1", ....
            k: most documents a query.
            feedback: as for `search`.
            rerank: as for `search`; a document that comes up for several queries is read once.
            rerank_depth: as for `search`.
            filter: as for `search`.

        Raises:
            TypeError: queries are neither, or one is no str.
            ValueError: one is empty, or two ids are the same as texts, as 1 and "1" are.

        >>> index.search_many({"q1": "rotate", "q2": "tea"}, k=1)
        {'q1': {'1': 1.0}, 'q2': {'0': 1.0}}
        """
        texts = name_queries(queries)
        with self._shared.reading() as retriever:
            again = self._rerankers.choose(rerank, rerank_depth, retriever.encoders)
            learning = _prepared(retriever, feedback, filter)
            return answer_reranked(learning, texts, check_count(k, "k"), again).run

    def explain(
        self,
        query: str,
        id: str,  # noqa: A002  (the word of hits)
        feedback: AnyFeedback = None,
        rerank: Rerank | None = None,
        rerank_depth: int = DEPTH,
        *,
        filter: str | None = None,  # noqa: A002  (the word of the command)
    ) -> Explanation:
        """Show which words, in which channel, brought a document its score; see `search`.

        >>> explanation = index.explain("which key", id="1")
        >>> [(part.name, part.words[:1]) for part in explanation.channels[1:]]
        [('sparse', (('key', 5.03...),)), ('bm25', (('key', 0.38...),))]
        """
        _check_worded(query)
        check_text(id, "the id")
        with self._shared.reading() as retriever:
            again = self._rerankers.choose(rerank, rerank_depth, retriever.encoders)
            learning = _prepared(retriever, feedback, filter)
            return explain_reranked(learning, query, id, again)


def _check_worded(query: str, advice: str = "") -> None:
    check_query(query, "the query", advice)
    if not query.strip():
        raise ValueError("the query is empty; give some words")


def _prepared(retriever: Retriever, feedback: AnyFeedback, chosen: str | None) -> Retriever:
    """Return the retriever with feedback and a filter, of which it warns where it is in vain."""
    narrowed = retriever.with_feedback(feedback).with_filter(chosen)
    for remark in () if narrowed.kept is None else narrowed.kept.remarks():
        warnings.warn(f"filter: {remark}", stacklevel=3)
    return narrowed
