"""The search engine: an index with the encoders that it names; ids and texts in and out."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from embedder.arguments import check_count, check_query, check_text
from embedder.types import Encoder
from index.documents import Document
from index.folder import UnknownDocumentError
from index.writer import IndexWriter
from lastword.documents import Source, name_queries, read_documents
from lastword.hits import SearchHits, list_hits
from lastword.reranking import NamedRerankers, Rerank
from lastword.shared_retriever import SharedRetriever
from retrieval.build import add_documents
from retrieval.explain import Explanation
from retrieval.feedback.read import AnyFeedback
from retrieval.options import BuildOptions, BuildReport
from retrieval.rerank.reranking import DEPTH, answer_reranked, explain_reranked
from retrieval.retriever import Retriever
from retrieval.run import Run

_ONLY = "query"  # id of a query that is asked alone


class SearchEngine:
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

    def __init__(
        self,
        retriever: Retriever,
        report: BuildReport | None = None,
        on_close: Callable[[], object] = lambda: None,
    ) -> None:
        self._shared = SharedRetriever(retriever)
        self.path = retriever.index.path
        self.report = report
        self._on_close = on_close
        self._rerankers = NamedRerankers()

    def __enter__(self) -> "SearchEngine":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __len__(self) -> int:
        return self._shared.now.index.documents

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

    def close(self) -> None:
        """Close the files of the index.

        >>> index.close()
        """
        self._shared.close()
        self._on_close()

    def search(
        self,
        query: str,
        k: int = 10,
        feedback: AnyFeedback = None,
        rerank: Rerank | None = None,
        rerank_depth: int = DEPTH,
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

        Raises:
            TypeError: the query is no str; for several, see `search_many`.
            ValueError: it is empty, k is less than 1, or there is no such feedback.

        >>> index.search("how do I rotate a key", k=1)
        #   score  dense  sparse  bm25  id  text
        1  1.0000      1       1     1  1   rotate the key at night
        """
        check_query(query, "the query", "; search_many takes several")
        if not query.strip():
            raise ValueError("the query is empty; give some words")
        with self._shared.reading() as retriever:
            again = self._rerankers.choose(rerank, rerank_depth, retriever.encoders)
            learning = retriever.with_feedback(feedback)
            result = answer_reranked(learning, {_ONLY: query}, check_count(k, "k"), again)
            return list_hits(result, _ONLY, query, retriever)

    def search_many(
        self,
        queries: Mapping[str, str] | Sequence[str],
        k: int = 1000,
        feedback: AnyFeedback = None,
        rerank: Rerank | None = None,
        rerank_depth: int = DEPTH,
    ) -> Run:
        """Return a run: query id -> document id -> score, for `lastword.evaluate_run`.

        Args:
            queries: id -> text; or texts, whose ids are then "0", "1", ....
            k: most documents a query.
            feedback: as for `search`.
            rerank: as for `search`; a document that comes up for several queries is read once.
            rerank_depth: as for `search`.

        Raises:
            TypeError: queries are neither, or one is no str.
            ValueError: one is empty, or two ids are the same as texts, as 1 and "1" are.

        >>> index.search_many({"q1": "rotate", "q2": "tea"}, k=1)
        {'q1': {'1': 1.0}, 'q2': {'0': 1.0}}
        """
        texts = name_queries(queries)
        with self._shared.reading() as retriever:
            again = self._rerankers.choose(rerank, rerank_depth, retriever.encoders)
            learning = retriever.with_feedback(feedback)
            return answer_reranked(learning, texts, check_count(k, "k"), again).run

    def explain(
        self,
        query: str,
        id: str,  # noqa: A002  (the word of hits)
        feedback: AnyFeedback = None,
        rerank: Rerank | None = None,
        rerank_depth: int = DEPTH,
    ) -> Explanation:
        """Show which words, in which channel, brought a document its score; see `search`.

        >>> explanation = index.explain("which key", id="1")
        >>> [(part.name, part.words[:1]) for part in explanation.channels[1:]]
        [('sparse', (('key', 5.03...),)), ('bm25', (('key', 0.38...),))]
        """
        check_query(query, "the query")
        check_text(id, "the id")
        with self._shared.reading() as retriever:
            again = self._rerankers.choose(rerank, rerank_depth, retriever.encoders)
            learning = retriever.with_feedback(feedback)
            return explain_reranked(learning, query, id, again)

    def get(self, id: str) -> Document:  # noqa: A002
        """Return a document.

        Raises:
            KeyError: there is none with that id.

        >>> index.get("1").text
        'rotate the key at night'
        """
        check_text(id, "the id")
        with self._shared.reading() as retriever:
            try:
                return retriever.index.document(id)
            except UnknownDocumentError as error:
                raise KeyError(f"{self.path} has no document {id!r}") from error

    def ids(self) -> list[str]:
        """Return the ids of all documents, in the order in which they were added.

        >>> index.ids()
        ['0', '1']
        """
        with self._shared.reading() as retriever:
            return retriever.index.ids()

    def add(self, documents: Source) -> BuildReport:
        """Add documents; see `lastword.build` for what they may be.

        Raises:
            ValueError: the index has an id already; what was committed before stands.

        >>> index.add(["a stone in the garden", {"id": "lava", "text": "lava cools"}]).documents
        2
        >>> index.ids()
        ['0', '1', '2', 'lava']
        """
        return self._add_source(documents, BuildOptions())

    def upsert(self, documents: Source) -> BuildReport:
        """Add documents, each in place of the one with its id if there is one.

        >>> index.upsert([{"id": "1", "text": "keep the key"}]).documents
        1
        >>> index.get("1").text, len(index)
        ('keep the key', 2)
        """
        return self._add_source(documents, BuildOptions(on_known="replace"))

    def delete(self, ids: str | Iterable[str]) -> int:
        """Delete documents, all or none; return how many.

        Raises:
            KeyError: there is no document with one of the ids; nothing was deleted.

        >>> index.delete("0"), index.ids()
        (1, ['1'])
        """
        if not isinstance(ids, Iterable) or isinstance(ids, bytes):
            raise TypeError(f"ids must be a str, or several; got {type(ids).__name__}")
        names = [ids] if isinstance(ids, str) else list(ids)
        for name in names:
            check_text(name, "an id")
        with self._shared.reading(), IndexWriter(self.path) as writer:
            known = writer.find(names)
            missing = [name for name in names if name not in known]
            if missing:
                raise KeyError(f"{self.path} has no document {missing[0]!r}; nothing was deleted")
            writer.delete(list(dict.fromkeys(names)))
            writer.commit()
            writer.compact()
        self._shared.reopen()
        return len(set(names))

    def _add_source(self, documents: Source, options: BuildOptions) -> BuildReport:
        with self._shared.reading() as retriever:
            if set(retriever.index.channels) != set(retriever.encoders):
                raise ValueError(
                    f"{self.path} has the channels {', '.join(retriever.index.channels)}, and was "
                    f"opened with {', '.join(retriever.encoders)} only; open it with all of them "
                    "to add documents"
                )
            source = read_documents(documents, self._next_number)
            self.report = add_documents(source, retriever.encoders, self.path, options)
        self._shared.reopen()
        return self.report

    def _next_number(self) -> int:
        """Return a number above all ids that are numbers."""
        return max((int(name) for name in self.ids() if name.isdecimal()), default=-1) + 1
