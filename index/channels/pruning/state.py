"""What pruned search is given, and the room in which it answers one query at a time."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from embedder.compiled import compiled
from index.channels.pruning.blocks import BLOCK, BLOCK_BITS, Blocks
from index.channels.pruning.bounds import WeightBounds

SCORE_BINS = 2048
GROUP = 8  # scores whose maximum stands for them


class Plan(NamedTuple):
    """Queries as terms of postings.

    Attributes:
        bounds: (q + 1,) int64: terms of query i are bounds[i] to bounds[i + 1].
        terms: (n,) int64 numbers, ascending within a query: parts of a score are added in order.
        factors: (n,) float32: weight of each term in its query, positive.
        idf: (n,) float32 of each term.
    """

    bounds: NDArray[np.int64]
    terms: NDArray[np.int64]
    factors: NDArray[np.float32]
    idf: NDArray[np.float32]


class BlockStore(NamedTuple):
    """What is searched.

    Attributes:
        blocks: of all entries.
        bounds: of the terms asked for.
        live: (rows,) False removes a row; empty keeps all.
        dead: number of rows that are not live.
    """

    blocks: Blocks
    bounds: WeightBounds
    live: NDArray[np.bool_]
    dead: int


class TermPart(NamedTuple):
    """Entries of a term in a block: start to end - 1; `base` is the first row of the block."""

    term: int
    factor: np.float32
    idf: np.float32
    base: np.uint64
    start: np.int64
    end: np.int64


class Room(NamedTuple):
    """Room for one query at a time.

    Attributes:
        scores: (BLOCK,) float32, 0 between blocks.
        bits: (BLOCK,) int32: the same memory.
        rows: (BLOCK + 1,) uint16 rows of the block that may be among the best.
        found: (BLOCK + 1,) uint16 those of them that hold a term.
        kept: (BLOCK,) float32 scores that outlive the emptying of the others.
        highest: (BLOCK / GROUP,) int32 best of GROUP neighbours.
        exact: (blocks,) True where scores were added up in the order of columns.
        slots: (BLOCK,) int32, 0 between uses.
        parts: (n,) int64: next part of each term.
        present: (n,) int64: terms in the block, in the order of the query.
        order: (n,) int64: terms in the block, that of the smallest bound first.
        tops: (n,) float32 largest part of a score by term of the query.
        rest: (n + 1,) float32: what the first i terms of the order can add to a score.
    """

    scores: NDArray[np.float32]
    bits: NDArray[np.int32]
    rows: NDArray[np.uint16]
    found: NDArray[np.uint16]
    kept: NDArray[np.float32]
    highest: NDArray[np.int32]
    exact: NDArray[np.bool_]
    slots: NDArray[np.int32]
    parts: NDArray[np.int64]
    present: NDArray[np.int64]
    order: NDArray[np.int64]
    tops: NDArray[np.float32]
    rest: NDArray[np.float32]


class BestPool(NamedTuple):
    """Rows that may be among the k best of a query.

    Attributes:
        rows: (c,) int64.
        scores: (c,) float32, within rounding.
        bins: (SCORE_BINS,) int64 how many scores fell into each.
        numbers: (3,) int64: rows held; lowest bin that is counted; scores in it and above.
        floor: (3,) float32: lowest score that may be among the best; bins to a score; slack.
    """

    rows: NDArray[np.int64]
    scores: NDArray[np.float32]
    bins: NDArray[np.int64]
    numbers: NDArray[np.int64]
    floor: NDArray[np.float32]


@compiled
def make_room(rows: int, terms: int) -> Room:
    """Return room for queries of at most so many terms."""
    scores = np.zeros(BLOCK, np.float32)
    blocks = (rows + BLOCK - 1) >> BLOCK_BITS
    return Room(
        scores,
        scores.view(np.int32),
        np.empty(BLOCK + 1, np.uint16),
        np.empty(BLOCK + 1, np.uint16),
        np.empty(BLOCK, np.float32),
        np.empty(BLOCK // GROUP, np.int32),
        np.empty(blocks, np.bool_),
        np.zeros(BLOCK, np.int32),
        np.empty(terms, np.int64),
        np.empty(terms, np.int64),
        np.empty(terms, np.int64),
        np.empty(terms, np.float32),
        np.zeros(terms + 1, np.float32),
    )


@compiled
def make_pool(k: int) -> BestPool:
    """Return a pool for the k best rows, and for what may take their places."""
    size = 4 * k + 1024
    return BestPool(
        np.empty(size, np.int64),
        np.empty(size, np.float32),
        np.empty(SCORE_BINS, np.int64),
        np.empty(3, np.int64),
        np.empty(3, np.float32),
    )
