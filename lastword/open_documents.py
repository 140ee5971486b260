"""The documents of an open index: read, listed, counted, added and deleted."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Self

from embedder.arguments import check_text
from index.documents import Document, UnknownDocumentError
from index.filters.facets import Facet, count_facets
from index.filters.kept import KeptDocuments, matching_ids
from index.filters.parse import parse_filter
from index.manifest_file import read_manifest
from index.writer import IndexWriter
from lastword.documents import Source, read_documents
from lastword.hits import Hit
from lastword.reranking import NamedRerankers
from lastword.shared_retriever import SharedRetriever
from lastword.syncing import Sources, sync_known
from retrieval.build import add_documents
from retrieval.options import BuildOptions, BuildReport
from retrieval.retriever import Retriever
from retrieval.sources.options import SourceOptions
from retrieval.sync.options import SyncOptions
from retrieval.sync.report import SyncReport


class OpenDocuments:
    """What an open index does with documents that needs no query; see `SearchEngine`.

    >>> isinstance(index, lw.SearchEngine), len(index)
    (True, 2)
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

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __len__(self) -> int:
        return self._shared.now.index.documents

    def close(self) -> None:
        """Close the files of the index.

        >>> index.close()
        """
        self._shared.close()
        self._on_close()

    def refresh(self) -> bool:
        """Take the index as other programs have left it; tell whether it has changed.

        Raises:
            ValueError: it is damaged, or made by other encoders; what was open stays so.
            OSError: it cannot be read; the same.

        >>> with lw.open(index.path) as other:
        ...     _ = other.add(["a stone in the garden"])
        >>> index.refresh(), index.refresh(), len(index)
        (True, False, 3)
        """
        if read_manifest(self.path) == self._shared.now.index.manifest:
            return False
        self._shared.reopen()
        return True

    def reading(self) -> AbstractContextManager[Retriever]:
        """Give the retriever of now, whose files stay open within the `with` block.

        >>> with index.reading() as retriever:
        ...     retriever.index.documents
        2
        """
        return self._shared.reading()

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

    def sync(
        self,
        sources: Sources = (),
        files: SourceOptions | None = None,
        options: SyncOptions | None = None,
    ) -> SyncReport:
        """Bring the index in step with files that have changed; see `lastword.sync`.

        >>> index.sync("notes").new
        ('keys.md', 'tea.txt')
        """
        with self._shared.reading() as retriever:
            encoders = retriever.encoders
            report = sync_known(self.path, sources, files, lambda: encoders, options)
        self._shared.reopen()
        return report

    def documents(self, filter: str | None = None) -> Iterator[Document]:  # noqa: A002
        """Yield the documents that meet a filter, or all, in the order in which they were added.

        Raises:
            ValueError: the filter cannot be read.

        >>> [document.id for document in index.documents()]
        ['0', '1']
        """
        chosen = parse_filter(filter) if filter else None

        def stream() -> Iterator[Document]:
            with self._shared.reading() as retriever:
                yield from KeptDocuments.of(retriever.index, chosen)

        return stream()

    def facets(
        self,
        fields: str | Sequence[str],
        filter: str | None = None,  # noqa: A002
        hits: Iterable[Hit] = (),
    ) -> list[Facet]:
        """Count the values of fields over all documents that meet a filter; see `Facet`.

        Args:
            fields: one name or several, as a filter has them.
            filter: None counts over all documents.
            hits: of a search, which are counted beside.

        Raises:
            ValueError: a name or the filter cannot be read.

        >>> index.facets("lang")[0].values
        (FacetValue(value=None, documents=2, hits=0),)
        """
        names = [fields] if isinstance(fields, str) else list(fields)
        with self._shared.reading() as retriever:
            kept = KeptDocuments.of(retriever.index, filter or None)
            return count_facets(kept, names, (hit.id for hit in hits))

    def delete(
        self,
        ids: str | Iterable[str] = (),
        *,
        filter: str | None = None,  # noqa: A002
    ) -> int:
        """Delete documents, all or none; return how many.

        Args:
            ids: of documents.
            filter: instead of ids: those that meet it.

        Raises:
            KeyError: there is no document with one of the ids; nothing was deleted.
            ValueError: the filter cannot be read, or there are ids beside it.

        >>> index.delete("0"), index.ids()
        (1, ['1'])
        """
        if not isinstance(ids, Iterable) or isinstance(ids, bytes):
            raise TypeError(f"ids must be a str, or several; got {type(ids).__name__}")
        names = [ids] if isinstance(ids, str) else list(ids)
        for name in names:
            check_text(name, "an id")
        if filter and names:
            raise ValueError("delete takes ids or a filter, not both")
        with self._shared.reading(), IndexWriter(self.path) as writer:
            names = matching_ids(self.path, filter) if filter else names
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
