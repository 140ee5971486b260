"""An index whose documents and rows lie in a collection of Milvus; opened as one in a folder."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from embedder.types import Representation
from index.channel import ChannelRows, Match
from index.documents import Document, UnknownDocumentError
from index.folder import Index
from index.segment import Segment
from retrieval.milvus.channel import MilvusRows, RemoteRows
from retrieval.milvus.connection import MilvusCollection, quote
from retrieval.milvus.place import MilvusPlace
from retrieval.milvus.recipe import Recipe, check_schema, field_of
from retrieval.milvus.seen_rows import SeenRows

FIRST_ROWS = "row == 0"
"""Expression that one entity of every document meets."""
_TEXTS = ("id", "row", "rows", "title", "text", "start", "end", "metadata")


class MilvusIndex(Index):
    """A collection that `lastword push` made, as it is while it is searched.

    Nothing that it says is believed before it was looked at: it may be a stranger's server.

    Args:
        collection: reached.
        recipe: of it.
    """

    def __init__(self, collection: MilvusCollection, recipe: Recipe) -> None:
        super().__init__(Path(str(collection.place)), recipe.manifest(), ())
        self._collection, self.recipe, self.seen = collection, recipe, SeenRows()
        remote = RemoteRows(collection, recipe, self.seen)
        self._channels: dict[str, ChannelRows] = {
            name: MilvusRows(spec, remote) for name, spec in self.channels.items()
        }
        self._documents = self.count("")

    @staticmethod
    def open(path: str | Path) -> "MilvusIndex":
        """Open a collection.

        Raises:
            ImportError: pymilvus is not installed.
            ConnectionError: the server does not answer.
            ValueError: there is no such collection, or it is none that was pushed.
        """
        place = MilvusPlace.parse(str(path))
        collection = MilvusCollection(place)
        try:
            if not collection.exists():
                raise ValueError(f"{place.uri} has no collection {place.collection!r}")
            recipe = Recipe.read(place, collection.describe()[1])
            check_schema(collection, recipe)
            collection.load()
            return MilvusIndex(collection, recipe)
        except BaseException:
            collection.close()
            raise

    def close(self) -> None:
        """Let go of the connection."""
        self._collection.close()

    @property
    def documents(self) -> int:
        """Number of documents, when it was opened."""
        return self._documents

    @property
    def opened(self) -> Sequence[Segment]:
        """Refuse: there are no segments here."""
        self._refuse()

    def rows_of(self, channel: str, document_id: str) -> NDArray[np.int64]:
        """Refuse: feedback would read the rows of many documents for every query."""
        raise ValueError(
            f"{self._collection.place} is searched without feedback, whose rows stay in Milvus; "
            "leave it out, or search the index folder"
        )

    def stream(self) -> Iterator[Document]:
        """Refuse, as `opened`."""
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise ValueError(
            f"{self._collection.place}: from Milvus documents are searched, explained and read by "
            "id; this needs the index folder that was pushed"
        )

    def count(self, expression: str) -> int:
        """Return the number of documents that meet an expression of Milvus, "" for all."""
        both = f"{FIRST_ROWS} and ({expression})" if expression else FIRST_ROWS
        return self._collection.count(both)

    def channel_rows(self, channel: str) -> ChannelRows:
        """Return a channel, with the owners of the rows that were seen so far."""
        rows = super().channel_rows(channel)
        assert isinstance(rows, MilvusRows)
        return rows.with_owners()

    def row_ids(self, channel: str) -> Any:  # noqa: ANN401  (a list of ids, which grows)
        """Return the document id of every row that was seen."""
        super().channel_rows(channel)
        return self.seen.ids

    def passage(self, channel: str, row: int) -> tuple[int, int]:
        """Return where the passage of a row that was seen starts and ends."""
        return self.seen.spans[row]

    def matches(self, channel: str, query: Representation, document_id: str) -> list[Match]:
        """Return what every row of a document says to a query, see `Index.matches`."""
        rows = super().channel_rows(channel)
        assert isinstance(rows, MilvusRows)
        names = ("id", "row", "rows", "start", "end", field_of(channel))
        return rows.matches_of(query, self._entities([document_id], names)[document_id])

    def document(self, document_id: str) -> Document:
        """Return a document.

        Raises:
            UnknownDocumentError: it is unknown.
        """
        return self.read([document_id])[document_id]

    def read(self, ids: Iterable[str]) -> dict[str, Document]:
        """Return documents by id.

        Raises:
            UnknownDocumentError: one is unknown.
            ValueError: what came is no document.
        """
        found = self._entities(list(dict.fromkeys(ids)), _TEXTS)
        return {name: _document(name, entities) for name, entities in found.items()}

    def ids(self) -> list[str]:
        """Return the ids of all documents, sorted."""
        return sorted(str(each["id"]) for each in self._collection.stream(FIRST_ROWS, ["id"]))

    def has(self, document_id: str, expression: str) -> bool:
        """Tell whether a document meets an expression of Milvus."""
        own = f"key == {quote(f'0:{document_id}')}"
        return self._collection.count(f"({own}) and ({expression})" if expression else own) > 0

    def _entities(
        self, ids: Sequence[str], names: Sequence[str]
    ) -> dict[str, list[dict[str, Any]]]:
        """Return all entities of documents, in the order of their rows."""
        first = self._collection.get([f"0:{name}" for name in ids], names)
        found: dict[str, list[dict[str, Any]]] = {}
        for name in ids:
            if f"0:{name}" not in first:
                raise UnknownDocumentError(f"{self._collection.place} has no document {name!r}")
            found[name] = [first[f"0:{name}"]]
        keys = [
            f"{row}:{name}"
            for name, (entity,) in found.items()
            for row in range(1, _count_of(name, entity))
        ]
        others = self._collection.get(keys, names) if keys else {}
        for key in keys:
            if key not in others:
                raise ValueError(f"{self._collection.place} lacks a row, {key!r}; push again")
            found[key.partition(":")[2]].append(others[key])
        return found


_MOST_ROWS = 1_000_000


def _count_of(name: str, entity: dict[str, Any]) -> int:
    count = entity.get("rows")
    if entity.get("id") != name or type(count) is not int or not 1 <= count <= _MOST_ROWS:
        raise ValueError(f"a server of Milvus answered with no document {name!r}: {count!r} rows")
    return count


def _document(name: str, entities: Sequence[dict[str, Any]]) -> Document:
    """Put the pieces of a document together; `Document` looks at every value."""
    title, metadata = entities[0].get("title"), entities[0].get("metadata")
    texts = [entity.get("text") for entity in entities]
    if not isinstance(title, str) or not all(isinstance(text, str) for text in texts):
        raise ValueError(f"a server of Milvus answered with no text for document {name!r}")
    return Document(name, title, "".join(map(str, texts)), metadata or {})
