"""A stream of documents that knows how far it was read, and proves that it is the same one."""

import hashlib
from collections.abc import Iterable, Iterator

from index.documents import Document

EMPTY_DIGEST = hashlib.blake2b(digest_size=16).hexdigest()
"""Digest of no documents at all."""


class Source:
    """Reads documents one at a time and keeps a running digest of all that were taken.

    Args:
        documents: read once, from the start.
    """

    def __init__(self, documents: Iterable[Document]) -> None:
        self._documents: Iterator[Document] = iter(documents)
        self._next: Document | None = None
        self._digest = hashlib.blake2b(digest_size=16)
        self.consumed = 0

    @property
    def digest(self) -> str:
        """Digest of ids, titles and texts of the documents taken, in order."""
        return self._digest.hexdigest()

    @property
    def exhausted(self) -> bool:
        """Whether there are no more documents; looks at the next one without taking it."""
        if self._next is None:
            self._next = next(self._documents, None)
        return self._next is None

    def __iter__(self) -> Iterator[Document]:
        while not self.exhausted:
            yield self._take()

    def skip(self, count: int, digest: str) -> None:
        """Take the `count` documents that were read before, and make sure that they are those.

        Raises:
            ValueError: there are fewer, or they are others.
        """
        while self.consumed < count and not self.exhausted:
            self._take()
        if self.consumed < count:
            changed = f"{count} documents were read then, and now it ends after {self.consumed}"
        elif self.digest != digest:
            changed = f"its first {count} documents are not those that were read then"
        else:
            return
        raise ValueError(
            f"the source has changed since the interruption: {changed}; "
            "give the same source to continue, or start over"
        )

    def _take(self) -> Document:
        document = self._next
        if document is None:
            raise AssertionError("exhausted was not asked")
        self._next = None
        self.consumed += 1
        for field in (document.id, document.title, document.text):
            data = field.encode()
            self._digest.update(len(data).to_bytes(8, "little"))
            self._digest.update(data)
        return document
