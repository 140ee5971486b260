"""Documents that an index holds, known by digests of what they say."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from index.documents import Document
from index.folder import Index

_MOST = 2_000  # ids that are looked up at a time


@dataclass(frozen=True, slots=True)
class Wording:
    """Digests of a document without its id.

    Attributes:
        text: of title and text, which alone are encoded.
        all: of the metadata as well.
    """

    text: bytes
    all: bytes

    @staticmethod
    def of(document: Document) -> "Wording":
        """Return the digests of a document."""
        digest = hashlib.blake2b(digest_size=16)
        for part in (document.title, document.text):
            data = part.encode()
            digest.update(len(data).to_bytes(8, "little"))
            digest.update(data)
        text = digest.digest()
        digest.update(document.metadata_json.encode())
        return Wording(text, digest.digest())


class HeldDocuments:
    """The documents of one generation of an index, found by id or by what they say.

    Args:
        index: open as long as this is used.
    """

    def __init__(self, index: Index) -> None:
        self._index = index
        self._wordings: dict[str, Wording] = {}
        self._by_text: dict[bytes, str] = {}

    def learn(self, ids: Iterable[str]) -> None:
        """Read documents, so that they are found by what they say."""
        for name, document in self._read(ids):
            wording = self._wordings[name] = Wording.of(document)
            self._by_text.setdefault(wording.text, name)

    def wording(self, name: str) -> Wording | None:
        """Return the digests of a document; None where there is none of that id."""
        known = self._wordings.get(name)
        if known is None and self._index.documents:
            known = next((Wording.of(one) for _, one in self._read([name])), None)
        return known

    def with_text(self, wording: Wording) -> str | None:
        """Return the id of a document that was learnt and has this title and text."""
        return self._by_text.get(wording.text)

    def missing(self, ids: Sequence[str]) -> set[str]:
        """Return those ids that are of no live document."""
        missing = set(ids)
        for _, ordinals in self._places(ids):
            missing -= ordinals.keys()
        return missing

    def _read(self, ids: Iterable[str]) -> Iterator[tuple[str, Document]]:
        for at, ordinals in self._places(list(ids)):
            store = self._index.opened[at].documents.store
            for name, ordinal in ordinals.items():
                yield name, store.document(ordinal)

    def _places(self, ids: Sequence[str]) -> Iterator[tuple[int, Mapping[str, int]]]:
        """Yield the number of a segment with the ordinals of documents there."""
        for start in range(0, len(ids), _MOST):
            some = ids[start : start + _MOST]
            for at, segment in enumerate(self._index.opened):
                yield at, segment.documents.find(some)
