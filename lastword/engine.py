"""The search engine: an index with the encoders that it names; ids and texts in and out."""

import shutil
import tempfile
import weakref
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from embedder.checkpoints.trust import ModelAccess
from embedder.encoders.load import load_encoder
from embedder.encoders.specs import channels_of
from embedder.prompts.prompt import Prompt
from embedder.types import Encoder
from index.documents import Document
from index.folder import Index
from index.writer import IndexWriter
from lastword.documents import Source, read_documents
from lastword.hits import SearchHits, list_hits
from retrieval.build import add_documents, build_index
from retrieval.explain import Explanation
from retrieval.fusion_choice import AUTO
from retrieval.open import open_retriever
from retrieval.options import BuildOptions, BuildReport
from retrieval.retriever import DEPTH, Retriever
from retrieval.run import Run

_ONLY = "query"  # id of a query that is asked alone

Model = str | Path | Encoder | Mapping[str, Encoder]
"""A model's name or folder, an encoder of `load_encoder`, or an encoder for each channel."""


class SearchEngine:
    """An index that is open for searching, and for adding and deleting documents.

    It sees the index as it was opened, and its own changes; other programs' changes show when it
    is opened again. Threads may search it together. Close it, or use it in a `with` block.

    Attributes:
        path: folder of the index.
        report: of the last build or addition; None where nothing was built.
    """

    def __init__(self, retriever: Retriever, report: BuildReport | None = None) -> None:
        self._retriever = retriever
        self.path = retriever.index.path
        self.report = report

    def __enter__(self) -> "SearchEngine":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __len__(self) -> int:
        return self._retriever.index.documents

    def __repr__(self) -> str:
        fusion = f", fused by {self.fusion}" if len(self.channels) > 1 else ""
        return f"<index {self.path}: {len(self)} documents; {', '.join(self.channels)}{fusion}>"

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the channels that are searched."""
        return tuple(self._retriever.encoders)

    @property
    def encoders(self) -> Mapping[str, Encoder]:
        """The encoder of each channel."""
        return dict(self._retriever.encoders)

    @property
    def fusion(self) -> str:
        """How channels become one ranking."""
        return self._retriever.fusion

    @property
    def retriever(self) -> Retriever:
        """The retriever below, for runs of single channels and other detail."""
        return self._retriever

    def close(self) -> None:
        """Close the files of the index."""
        self._retriever.close()

    def search(self, query: str, k: int = 10) -> SearchHits:
        """Return the k best documents, ranked as `lastword search` ranks them.

        Args:
            query: one text, not empty.
            k: at least 1.

        Raises:
            TypeError: the query is no str; for several, see `search_many`.
            ValueError: it is empty, or k is less than 1.
        """
        _check_text(query, "the query", "; search_many takes several")
        if not query.strip():
            raise ValueError("the query is empty; give some words")
        result = self._retriever.answer({_ONLY: query}, _check_k(k))
        return list_hits(result, _ONLY, query, self._retriever.index)

    def search_many(self, queries: Mapping[str, str] | Sequence[str], k: int = 1000) -> Run:
        """Return a run: query id -> document id -> score, for `lastword.evaluate_run`.

        Args:
            queries: id -> text; or texts, whose ids are then "0", "1", ....
            k: most documents a query.
        """
        if isinstance(queries, str) or not isinstance(queries, Mapping | Sequence):
            raise TypeError(
                f"queries must be a dict of id -> text, or a list of texts; got {queries!r:.60}"
            )
        pairs = queries.items() if isinstance(queries, Mapping) else enumerate(queries)
        texts = {str(name): text for name, text in pairs}
        for name, text in texts.items():
            _check_text(text, f"query {name!r}")
        return self._retriever.search(texts, _check_k(k))

    def explain(self, query: str, id: str) -> Explanation:  # noqa: A002  (the word of hits)
        """Say which words, in which channel, brought a document its score."""
        _check_text(query, "the query")
        _check_text(id, "the id")
        return self._retriever.explain(query, id)

    def get(self, id: str) -> Document:  # noqa: A002
        """Return a document.

        Raises:
            KeyError: there is none with that id.
        """
        _check_text(id, "the id")
        try:
            return self._retriever.index.document(id)
        except ValueError as error:
            raise KeyError(f"{self.path} has no document {id!r}") from error

    def ids(self) -> list[str]:
        """Return the ids of all documents, in the order in which they were added."""
        return [document.id for document in self._retriever.index.stream()]

    def add(self, documents: Source) -> BuildReport:
        """Add documents; see `lastword.build` for what they may be.

        Raises:
            ValueError: the index has an id already; what was committed before stands.
        """
        return self._take_in(documents, BuildOptions())

    def upsert(self, documents: Source) -> BuildReport:
        """Add documents, each in place of the one with its id if there is one."""
        return self._take_in(documents, BuildOptions(on_known="replace"))

    def delete(self, ids: str | Iterable[str]) -> int:
        """Delete documents, all or none; return how many.

        Raises:
            KeyError: there is no document with one of the ids; nothing was deleted.
        """
        names = [ids] if isinstance(ids, str) else list(ids)
        for name in names:
            _check_text(name, "an id")
        with IndexWriter(self.path) as writer:
            missing = [name for name in names if name not in writer.find(names)]
            if missing:
                raise KeyError(f"{self.path} has no document {missing[0]!r}; nothing was deleted")
            writer.delete(list(dict.fromkeys(names)))
            writer.commit()
            writer.compact()
        self._reopen()
        return len(set(names))

    def _take_in(self, documents: Source, options: BuildOptions) -> BuildReport:
        index = self._retriever.index
        if set(index.channels) != set(self.channels):
            raise ValueError(
                f"{self.path} has the channels {', '.join(index.channels)}, and was opened with "
                f"{', '.join(self.channels)} only; open it with all of them to add documents"
            )
        source = read_documents(documents, self._next_number)
        self.report = add_documents(source, self._retriever.encoders, self.path, options)
        self._reopen()
        return self.report

    def _next_number(self) -> int:
        """Return a number above all ids that are numbers."""
        return max((int(name) for name in self.ids() if name.isdecimal()), default=-1) + 1

    def _reopen(self) -> None:
        before = self._retriever
        index = Index.open(self.path)
        self._retriever = Retriever(index, before.encoders, before.fusion or AUTO, before.depth)
        before.close()


def open_engine(
    path: str | Path,
    channels: Sequence[str] | None = None,
    fusion: str = AUTO,
    depth: int = DEPTH,
    access: ModelAccess | None = None,
) -> SearchEngine:
    """Open an index, with the encoders, prompts and fusion that it names itself.

    Args:
        path: folder of an index, made by `build` or by `lastword index`.
        channels: some of its channels; all by default.
        fusion: e.g. "rrf" or "minmax:dense=0.7,bm25=0.3"; "auto" is the index's own.
        depth: documents that each channel contributes to the fusion.
        access: where models run, where they lie now, and which are allowed.

    Raises:
        ValueError: it is no index, has no such channel, or names a model that you did not choose.
    """
    if isinstance(channels, str) or not isinstance(channels, Sequence | None):
        raise TypeError(f"channels must be a list of names; got {channels!r}")
    return SearchEngine(open_retriever(path, channels, fusion, depth, access))


def build_engine(
    path: str | Path | None,
    documents: Source,
    model: Model = "bundled",
    prompt: Prompt | str | Path | None = None,
    options: BuildOptions | None = None,
) -> SearchEngine:
    """Make an index of documents and open it; BM25 comes along.

    Args:
        path: folder to make; None makes an index that goes when it is closed or forgotten.
        documents: strings, dicts with "text" and perhaps "id", "title" and any metadata, or
            Documents, also from a generator; or a path or name, as `lastword index` takes it.
        model: name or folder of a language model, "bundled", "sbert:NAME", or "bm25" for words
            alone; or an encoder, or an encoder for each channel.
        prompt: library name, file or value; None is the model's own, else "promptreps".
        options: how it is built, see `BuildOptions`; `overwrite` replaces a complete index.

    Raises:
        TypeError: documents or model are of another kind.
        ValueError: a document has no text, an id comes twice, or there is an index already. A
            failed build leaves no folder, unless a segment of it was committed: the same call
            then goes on from there.
    """
    encoders = choose_encoders(model, prompt)
    folder = Path(tempfile.mkdtemp(prefix="lastword-")) / "index" if path is None else Path(path)
    try:
        report = build_index(read_documents(documents), encoders, folder, options)
        engine = SearchEngine(Retriever(Index.open(folder), encoders), report)
    except BaseException:
        if path is None:
            shutil.rmtree(folder.parent, ignore_errors=True)
        raise
    if path is None:
        weakref.finalize(engine, shutil.rmtree, folder.parent, ignore_errors=True)
    return engine


def choose_encoders(model: Model, prompt: Prompt | str | Path | None) -> dict[str, Encoder]:
    """Return the encoder of each channel."""
    if isinstance(model, Mapping):
        if prompt is not None:
            raise ValueError("a prompt goes with a model's name; these encoders have theirs")
        return dict(model)
    if isinstance(model, str | Path):
        encoder: Any = load_encoder(model, prompt)
    elif isinstance(model, Encoder):
        encoder = model
    else:
        raise TypeError(f"model must be a name, a folder or an encoder; got {type(model).__name__}")
    channels = dict.fromkeys(channels_of(encoder), encoder)
    return {**channels, "bm25": channels.get("bm25") or load_encoder("bm25")}


def _check_text(value: object, what: str, advice: str = "") -> None:
    if not isinstance(value, str):
        raise TypeError(f"{what} must be a str; got {type(value).__name__}{advice}")


def _check_k(k: int) -> int:
    if isinstance(k, bool) or not isinstance(k, int):
        raise TypeError(f"k must be a whole number; got {k!r}")
    return k
