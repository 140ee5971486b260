"""What the finalists of a search find that is not in its pool, told without reading a document.

The rows of the index and those of a pool that was read under a finalist are rows of the same
documents. A ridge regression from ones to others tells, about, the rows that every document of the
index would have under the finalist: what is nearest a query by these is what it would find.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from embedder.types import Float32Array, Float64Array
from index.folder import Index
from index.live_rows import live_blocks

RIDGE = 0.01  # of the mean variance of a number
NEAREST = 10


class RowMap:
    """Tells rows under one prompt from rows under another.

    Args:
        known: (n, d) rows under the one.
        wanted: (n, e) rows of the same texts under the other.
    """

    def __init__(self, known: Float32Array, wanted: Float32Array) -> None:
        self._means = known.mean(axis=0), wanted.mean(axis=0)
        centred = (known - self._means[0]).astype(np.float64)
        square = centred.T @ centred
        square += RIDGE * max(np.trace(square) / len(square), 1e-12) * np.eye(len(square))
        self._map: Float64Array = np.linalg.solve(square, centred.T @ (wanted - self._means[1]))

    def __call__(self, rows: Float32Array) -> Float64Array:
        """Return (n, e) unit rows; of a row of zeros, zeros."""
        told: Float64Array = (rows - self._means[0]) @ self._map + self._means[1]
        lengths = np.linalg.norm(told, axis=1, keepdims=True)
        told /= np.maximum(lengths, 1e-12)
        told[~rows.any(axis=1)] = 0
        return told


def rows_of_documents(index: Index, channel: str) -> Iterator[tuple[list[str], Float32Array]]:
    """Yield (id of each row, rows) of a dense channel, block by block."""
    for block in live_blocks(index, [channel]):
        rows = block.rows[channel]
        assert rows.dense is not None, channel
        yield [block.documents[at].id for at in rows.owner.tolist()], rows.dense


def map_between(index: Index, other: Index, channel: str) -> RowMap | None:
    """Learn a map from the rows of an index to those of another of some of its documents.

    Documents that have another number of rows there are left out; None where none is left.
    """
    there = _gathered(rows_of_documents(other, channel))
    pairs: list[tuple[Float32Array, Float32Array]] = []
    for ids, rows in rows_of_documents(index, channel):
        here = _gathered([(ids, rows)])
        both = here.keys() & there.keys()
        equal = [each for each in sorted(both) if len(here[each]) == len(there[each])]
        pairs += [(here[each], there[each]) for each in equal]
    if not pairs:
        return None
    known, wanted = (np.concatenate(parts) for parts in zip(*pairs, strict=True))
    return RowMap(known, wanted)


def nearest_documents(
    index: Index, channel: str, maps: Sequence[tuple[RowMap, Float32Array]]
) -> set[str]:
    """Return the NEAREST documents of each query, by rows as each map tells them.

    Args:
        index: of the documents.
        channel: a dense one.
        maps: (map, (queries, e) rows of queries that are compared with what it tells).
    """
    best = [[dict[str, float]() for _ in queries] for _, queries in maps]
    for ids, rows in rows_of_documents(index, channel):
        for (tell, queries), found in zip(maps, best, strict=True):
            scores = queries @ tell(rows).T
            for at, of_query in enumerate(scores):
                top = np.argsort(-of_query, kind="stable")[: 2 * NEAREST].tolist()
                known = dict(found[at])
                for row in reversed(top):  # of several rows of a document the best counts
                    known[ids[row]] = float(of_query[row])
                order = sorted(known, key=lambda each: -known[each])[:NEAREST]
                found[at] = {each: known[each] for each in order}
    return {each for found in best for of_query in found for each in of_query}


def _gathered(
    blocks: "Iterator[tuple[list[str], Float32Array]] | list[tuple[list[str], Float32Array]]",
) -> Mapping[str, Float32Array]:
    """Return the rows of each document."""
    gathered: dict[str, list[Float32Array]] = {}
    for ids, rows in blocks:
        for each, row in zip(ids, rows, strict=True):
            gathered.setdefault(each, []).append(row)
    return {each: np.stack(rows) for each, rows in gathered.items()}
