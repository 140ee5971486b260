"""A stream of documents that knows how far it was read, and proves that it is the same one."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol, runtime_checkable

from index.documents import Document
from retrieval.sources.ledger import SourceLedger

EMPTY_DIGEST = hashlib.blake2b(digest_size=16).hexdigest()
"""Digest of no documents at all."""


class SourceChangedError(ValueError):
    """A source does not begin with the documents that were read of it before."""


@runtime_checkable
class RemembersSources(Iterable[Document], Protocol):
    """Documents of files, which know when they were read what each file gave."""

    def remember(self) -> None:
        """Begin to note it."""
        ...

    def ledger(self) -> SourceLedger | None:
        """Return what an index of the documents remembers; None where it is nothing."""
        ...


class DocumentsDigest:
    """A running digest of documents: of ids, titles, texts and perhaps metadata, in order."""

    def __init__(self) -> None:
        self._digest = hashlib.blake2b(digest_size=16)

    def add(self, document: Document) -> None:
        """Take the next document in."""
        metadata = [document.metadata_json] if document.metadata else []
        for field in (document.id, document.title, document.text, *metadata):
            data = field.encode()
            self._digest.update(len(data).to_bytes(8, "little"))
            self._digest.update(data)

    @property
    def hexdigest(self) -> str:
        """The digest of the documents so far."""
        return self._digest.hexdigest()


def documents_digest(documents: Iterable[Document]) -> str:
    """Return the digest of documents; the same documents in the same order have the same."""
    digest = DocumentsDigest()
    for document in documents:
        digest.add(document)
    return digest.hexdigest


class DocumentReader:
    """Reads documents one at a time and keeps a running digest of all that were taken.

    Args:
        documents: read once, from the start.
    """

    def __init__(self, documents: Iterable[Document]) -> None:
        self._documents: Iterator[Document] = iter(documents)
        self._next: Document | None = None
        self._digest = DocumentsDigest()
        self.consumed = 0

    @staticmethod
    def begun(documents: Iterable[Document]) -> "DocumentReader":
        """Return a source whose first document has been looked at, and of a sequence every one.

        Raises:
            TypeError: it is no document.
            ValueError: there is none.
        """
        source = DocumentReader(documents)
        for at, document in enumerate(documents if isinstance(documents, Sequence) else ()):
            _check_document(document, at + 1)
        if source.exhausted:
            raise ValueError("the source has no documents")
        return source

    @property
    def digest(self) -> str:
        """Digest of ids, titles and texts of the documents taken, in order."""
        return self._digest.hexdigest

    @property
    def exhausted(self) -> bool:
        """Whether there are no more documents; looks at the next one without taking it."""
        if self._next is None:
            self._next = next(self._documents, None)
            if self._next is not None:
                _check_document(self._next, self.consumed + 1)
        return self._next is None

    def __iter__(self) -> Iterator[Document]:
        while not self.exhausted:
            yield self._read_next()

    def skip(self, count: int, digest: str) -> None:
        """Take the `count` documents that were read before, and make sure that they are those.

        Raises:
            SourceChangedError: there are fewer, or they are others.
        """
        while self.consumed < count and not self.exhausted:
            self._read_next()
        if self.consumed < count:
            changed = f"{count} documents were read then, and now it ends after {self.consumed}"
        elif self.digest != digest:
            changed = f"its first {count} documents are not those that were read then"
        else:
            return
        raise SourceChangedError(
            f"the source has changed since the interruption: {changed}; "
            "give the same source to continue, or start over"
        )

    def _read_next(self) -> Document:
        document = self._next
        if document is None:
            raise AssertionError("exhausted was not asked")
        self._next = None
        self.consumed += 1
        self._digest.add(document)
        return document


def _check_document(item: object, number: int) -> None:
    if not isinstance(item, Document):
        raise TypeError(
            f"item {number} of the source is of type {type(item).__name__}; "
            "expected index.documents.Document(id, title, text)"
        )
