"""The live rows of an index as entities of a collection, each with a digest of all that it is."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from embedder.types import Representation
from index.channels.postings import Postings
from index.channels.weighting import Statistics, statistics, weigh_rows
from index.documents import Document
from index.folder import Index
from index.live_rows import live_blocks
from retrieval.milvus.columns import ColumnMap
from retrieval.milvus.facts import FACTS, list_facts
from retrieval.milvus.recipe import FILLER, LONGEST, field_of
from retrieval.passages.cutting import Span


@dataclass(frozen=True, slots=True, eq=False)
class WeighedWords:
    """What the words of a channel weigh in its documents, and where they stand in Milvus.

    Attributes:
        counted: over all live rows.
        columns: of Milvus.
    """

    counted: Statistics
    columns: ColumnMap

    @staticmethod
    def of(index: Index, channel: str) -> "WeighedWords":
        """Count the words of a channel."""
        parts = [segment.channels[channel] for segment in index.opened]
        postings = [part.content for part in parts if isinstance(part.content, Postings)]
        counted = statistics(postings, [part.live for part in parts])
        terms = counted.terms[counted.document_frequency > 0]
        return WeighedWords(counted, ColumnMap.of(index.channels[channel].dim or 1, terms))


class Entities:
    """Reads an index as entities, document by document.

    Args:
        index: opened.

    Attributes:
        words: inverted channel -> what its words weigh.
    """

    def __init__(self, index: Index) -> None:
        self._index = index
        self.words = {
            name: WeighedWords.of(index, name)
            for name, spec in index.channels.items()
            if spec.kind == "inverted"
        }

    def __iter__(self) -> Iterator[list[dict[str, Any]]]:
        """Yield the entities of each live document, in order.

        Raises:
            ValueError: a document does not fit into a collection.
        """
        channels = list(self._index.channels)
        for block in live_blocks(self._index, channels):
            rows = {name: self._vectors(name, block.rows[name]) for name in channels}
            owners = {name: block.rows[name].owner for name in channels}
            for at, document in enumerate(block.documents):
                own = {
                    name: rows[name][slice(*np.searchsorted(owners[name], [at, at + 1]))]
                    for name in channels
                }
                yield self._entities(document, own)

    def _vectors(self, name: str, rows: Representation) -> list[Any]:
        """Return the rows of a channel as Milvus has them."""
        if rows.dense is not None:
            return list(rows.dense)
        assert rows.sparse is not None
        weighting = self._index.channels[name].weighting
        assert weighting is not None
        words = self.words[name]
        weighed = weigh_rows(rows.sparse, weighting, words.counted)
        return sparse_vectors(weighed, words.columns.places(weighed.indices.astype(np.int64)))

    def _entities(
        self, document: Document, vectors: Mapping[str, Sequence[Any]]
    ) -> list[dict[str, Any]]:
        counts = {name: len(rows) for name, rows in vectors.items()}
        count = max(counts.values())
        if min(counts.values()) != count or not count:
            raise ValueError(
                f"document {document.id!r} has {counts} rows; Milvus holds as many of every "
                f"channel: push an index of one channel, or of prompts that give one row a text"
            )
        spans = self._spans(document, count)
        entities = []
        for row, (start, end) in enumerate(spans):
            stop = spans[row + 1][0] if row + 1 < count else None
            piece = document.text[start if row else 0 : stop]  # all of a text, each part once
            entity = {
                "key": f"{row}:{document.id}",
                "id": document.id,
                "row": row,
                "rows": count,
                "title": document.title,
                "text": piece,
                "start": start,
                "end": end,
                "metadata": dict(document.metadata),
                FACTS: list_facts(document.metadata),
            }
            _check_lengths(entity)
            own = {field_of(name): rows[row] for name, rows in vectors.items()}
            entities.append({**entity, **own, "digest": _digest(entity, own)})
        return entities

    def _spans(self, document: Document, count: int) -> list[Span]:
        """Return the passage that each row of a document stands for."""
        if count == 1:
            return [(0, len(document.text))]
        channel = next(iter(self._index.channels))
        rows = self._index.rows_of(channel, document.id)
        spans = [self._index.passage(channel, row) for row in rows.tolist()]
        if len(spans) != count or any(a[0] > b[0] for a, b in pairwise(spans)):
            raise ValueError(f"document {document.id!r}: its passages do not follow each other")
        return spans


def sparse_vectors(rows: csr_matrix, places: NDArray[np.int64]) -> list[dict[int, float]]:
    """Return rows as Milvus takes them; one without a word gets a word that no query has.

    Args:
        rows: (n, vocab).
        places: (entries,) column of Milvus of each entry.
    """
    vectors = []
    for start, end in zip(rows.indptr, rows.indptr[1:], strict=False):
        pairs = zip(places[start:end].tolist(), rows.data[start:end].tolist(), strict=True)
        vectors.append({at: weight for at, weight in pairs if weight} or {FILLER: 1.0})
    return vectors


def _check_lengths(entity: Mapping[str, Any]) -> None:
    lengths = {name: len(entity[name].encode()) for name in ("key", "title", "text")}
    lengths |= {name: len(json.dumps(entity[name])) for name in ("metadata", FACTS)}
    for name, length in lengths.items():
        if length > LONGEST:
            advice = "; index with --passages" if name == "text" else ""
            raise ValueError(
                f"document {entity['id'][:80]!r}: its {name} takes {length:,} bytes, and a field "
                f"of Milvus holds {LONGEST:,}{advice}"
            )


def _digest(entity: Mapping[str, Any], vectors: Mapping[str, Any]) -> str:
    """Return the digest of what is written of one row."""
    hashed = hashlib.blake2b(digest_size=16)
    hashed.update(json.dumps(entity, sort_keys=True).encode())
    for name, vector in vectors.items():
        hashed.update(name.encode())
        if isinstance(vector, dict):
            hashed.update(np.array(list(vector), np.int64).tobytes())
            hashed.update(np.array(list(vector.values()), np.float32).tobytes())
        else:
            hashed.update(np.asarray(vector, np.float32).tobytes())
    return hashed.hexdigest()
