"""Documents that an index holds, known by digests of what they say."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from embedder.encoders.specs import NO_SPEC
from embedder.text.fields import TEXT, TITLE, parse_fields
from index.documents import Document
from index.folder import Index
from index.manifest import ChannelSpec

_MOST = 2_000  # ids that are looked up at a time


@dataclass(frozen=True, slots=True)
class Wording:
    """Digests of a document without its id.

    Attributes:
        encoded: of title and text, and of metadata that is encoded.
        all: of all metadata as well.
    """

    encoded: bytes
    all: bytes


class HeldDocuments:
    """The documents of one generation of an index, found by id or by what they say.

    Args:
        index: open as long as this is used.
    """

    def __init__(self, index: Index) -> None:
        self._index = index
        self._fields = _encoded_fields(index.channels.values())
        self._wordings: dict[str, Wording] = {}
        self._by_text: dict[bytes, str] = {}

    def digest(self, document: Document) -> Wording:
        """Return the digests of a document, of this index or not."""
        digest = hashlib.blake2b(digest_size=16)
        fields = document.metadata if self._fields is None else self._fields
        read = {name: document.metadata[name] for name in fields if name in document.metadata}
        for part in (document.title, document.text, json.dumps(read, sort_keys=True)):
            data = part.encode()
            digest.update(len(data).to_bytes(8, "little"))
            digest.update(data)
        encoded = digest.digest()
        digest.update(document.metadata_json.encode())
        return Wording(encoded, digest.digest())

    def learn(self, ids: Iterable[str]) -> None:
        """Read documents, so that they are found by what they say."""
        for name, document in self._read(ids):
            wording = self._wordings[name] = self.digest(document)
            self._by_text.setdefault(wording.encoded, name)

    def wording(self, name: str) -> Wording | None:
        """Return the digests of a document; None where there is none of that id."""
        known = self._wordings.get(name)
        if known is None and self._index.documents:
            known = next((self.digest(one) for _, one in self._read([name])), None)
        return known

    def with_rows_of(self, wording: Wording) -> str | None:
        """Return the id of a document that was learnt and is encoded as the same rows."""
        return self._by_text.get(wording.encoded)

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


def _encoded_fields(channels: Iterable[ChannelSpec]) -> tuple[str, ...] | None:
    """Return the fields of metadata that encoders read; None means that it can be any."""
    names: set[str] = set()
    for spec in channels:
        if spec.recipe == NO_SPEC:  # an encoder of somebody's own
            return None
        facts = json.loads(spec.fingerprint)
        names |= parse_fields(facts["fields"]).keys() if facts.get("fields") else set()
        names |= {facts["language_field"]} if facts.get("language_field") else set()
    return tuple(sorted(names - {TITLE, TEXT}))
