"""One channel of a collection: its rows are searched on the server, and scored here one by one."""

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix

from embedder.types import Representation
from index.base import NO_ROW, Hits
from index.channel import ChannelRows, Match
from index.manifest import ChannelSpec
from retrieval.milvus.columns import ColumnMap
from retrieval.milvus.connection import MOST_HITS, MilvusCollection
from retrieval.milvus.entities import sparse_vectors
from retrieval.milvus.recipe import FILLER, Recipe, field_of, search_settings
from retrieval.milvus.seen_rows import NAMES, SeenRows


@dataclass(frozen=True, slots=True, eq=False)
class RemoteRows:
    """What all channels of a collection share.

    Attributes:
        collection: reached.
        recipe: of it.
        seen: rows that it has named.
    """

    collection: MilvusCollection
    recipe: Recipe
    seen: SeenRows


class MilvusRows(ChannelRows):
    """Rows of a channel that lie in Milvus; numbers are those of `SeenRows`."""

    def __init__(self, spec: ChannelSpec, remote: RemoteRows) -> None:
        super().__init__(spec, (), (0,))
        moved = {int(term): at for term, at in remote.recipe.moved.get(spec.name, {}).items()}
        self._remote = remote
        self._columns = ColumnMap((spec.dim or 1) > FILLER, moved)
        self._expression = ""

    def within(self, expression: str) -> "MilvusRows":
        """Return the same rows, of which searches find those that meet an expression of Milvus."""
        other = copy(self)
        other._expression = expression
        return other

    def with_owners(self) -> "MilvusRows":
        """Return the same rows with the documents of all that were seen so far."""
        other = copy(self)
        other.documents = self._remote.seen.owners()
        return other

    def search(self, queries: Representation, k: int) -> Hits:
        """Return the best rows; enough of them for k distinct documents, as far as Milvus goes.

        Raises:
            ValueError: Milvus does not return so many, or no rows.
            ConnectionError: it does not answer.
        """
        vectors = self._vectors(self.prepare(queries))
        if k > MOST_HITS:
            raise ValueError(f"Milvus returns at most {MOST_HITS:,} hits; got a search for {k:,}")
        limit = k
        while True:
            found = self._find(vectors, limit)
            if limit == MOST_HITS or all(self._enough_of(own, limit, k) for own in found):
                return _to_hits(found)
            limit = min(2 * limit, MOST_HITS)

    def matches_of(self, query: Representation, entities: Sequence[dict[str, Any]]) -> list[Match]:
        """Score entities that were read with the field of this channel against one query."""
        query = self.prepare(query)
        if len(query) != 1:
            raise ValueError(f"one query row is matched at a time; got {len(query)}")
        return [self._match(query, entity) for entity in entities]

    def _match(self, query: Representation, entity: dict[str, Any]) -> Match:
        row = self._remote.seen.number(entity)
        stored = entity.get(field_of(self.spec.name))
        if query.dense is not None and self.spec.kind == "dense":
            vector = np.asarray(stored, np.float32)
            if vector.shape != query.dense[0].shape or not np.isfinite(vector).all():
                raise ValueError(f"{self._remote.collection.place} holds no vector of this width")
            return Match(row, float(np.float32(vector.astype(np.float64) @ query.dense[0])), {})
        assert query.sparse is not None and isinstance(stored, dict)
        terms = query.sparse.indices.astype(np.int64)
        places = self._columns.places(terms).tolist()
        parts = {
            term: float(np.float32(weight) * np.float32(stored[place]))
            for term, place, weight in zip(
                terms.tolist(), places, query.sparse.data.tolist(), strict=True
            )
            if place in stored and weight
        }
        return Match.of_terms(row, parts)

    def _vectors(self, queries: Representation) -> list[Any]:
        """Return queries as Milvus takes them; {} of one without words."""
        if self.spec.kind == "dense":
            assert queries.dense is not None
            return [row.tolist() for row in queries.dense]
        assert queries.sparse is not None
        rows = csr_matrix(queries.sparse)
        places = self._columns.places(rows.indices.astype(np.int64))
        vectors = sparse_vectors(rows, places)
        return [{} if FILLER in vector else vector for vector in vectors]

    def _find(self, vectors: Sequence[Any], limit: int) -> list[list[tuple[int, float]]]:
        """Return for each query numbers of rows with their scores, best first."""
        found: list[list[tuple[int, float]]] = [[] for _ in vectors]
        asked = [at for at, vector in enumerate(vectors) if vector]
        together = max(1, MOST_HITS // limit)
        remote, number = self._remote, self._remote.seen.number
        settings = search_settings(remote.recipe, self.spec.kind, limit)
        for start in range(0, len(asked), together):
            batch = asked[start : start + together]
            answers = remote.collection.search(
                field_of(self.spec.name),
                [vectors[at] for at in batch],
                limit,
                self._expression,
                settings,
                NAMES,
            )
            for at, hits in zip(batch, answers, strict=True):
                found[at] = sorted(
                    {number(entity): score for entity, score in hits}.items(),
                    key=lambda pair: (-pair[1], pair[0]),
                )
        return found

    def _enough_of(self, own: Sequence[tuple[int, float]], limit: int, k: int) -> bool:
        """Tell whether a query has k distinct documents, or all that it can have."""
        documents = self._remote.seen.documents
        return len(own) < limit or len({documents[row] for row, _ in own}) >= k


def _to_hits(found: Sequence[Sequence[tuple[int, float]]]) -> Hits:
    """Return hits of queries, padded.

    Raises:
        ValueError: a score is no number.
    """
    width = max((len(own) for own in found), default=0)
    rows = np.full((len(found), width), NO_ROW, np.int64)
    scores = np.full(rows.shape, -np.inf, np.float32)
    for at, own in enumerate(found):
        for place, (row, score) in enumerate(own):
            rows[at, place], scores[at, place] = row, score
    if not np.isfinite(scores[rows != NO_ROW]).all():
        raise ValueError("a server of Milvus answered with a score that is no number")
    return Hits(rows, scores)
