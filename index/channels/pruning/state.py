"""What pruned search is given, and the room in which it answers one query at a time."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from embedder.compiled import compiled
from index.channels.pruning.blocks import BLOCK, Blocks, Integer
from index.channels.pruning.bounds import WeightBounds

GROUP = 8  # rows whose highest sum stands for them
BIN_BITS = 5  # units of a bin
BINS = 1 << (16 - BIN_BITS)


class Plan(NamedTuple):
    """Queries as terms of postings.

    Attributes:
        bounds: (q + 1,) int64: terms of query i are bounds[i] to bounds[i + 1].
        terms: (n,) int64 numbers, ascending within a query: parts of a score are added in order.
        factors: (n,) float32: weight of each term in its query, positive.
        idf: (n,) float32 of each term.
        floors: (q,) float32: no row of a lower score is wanted; 0 wants all.
    """

    bounds: NDArray[np.int64]
    terms: NDArray[np.int64]
    factors: NDArray[np.float32]
    idf: NDArray[np.float32]
    floors: NDArray[np.float32]


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
        sums: (BLOCK,) uint16: what each row scores at most, in units.
        highest: (BLOCK / GROUP,) uint16 highest sum of GROUP neighbours.
        tops: (BLOCK / GROUP**2,) uint16 highest of GROUP such groups.
        near: (BLOCK / GROUP + 1,) uint16 groups that may hold one of the best.
        bins: (BINS,) int64: counts that are thrown away.
        rows: (BLOCK + 1,) uint16 rows of the block that may be among the best, ascending.
        scores: (BLOCK,) float32 of these, exact.
        places: (BLOCK,) uint16: where a row stands in `rows`, from 1 on; 0 between uses.
        entries: (BLOCK + 1,) uint64: those of a term that the rows hold.
        found: (BLOCK + 1,) uint16 row of each.
        steps: (n,) uint16: 256 times what a code of 1 adds to a sum, by term of the query.
        parts: (n,) int64: next part of each term.
        present: (n,) int64: terms that stand in the block, in the order of the query.
    """

    sums: NDArray[np.uint16]
    highest: NDArray[np.uint16]
    tops: NDArray[np.uint16]
    near: NDArray[np.uint16]
    bins: NDArray[np.int64]
    rows: NDArray[np.uint16]
    scores: NDArray[np.float32]
    places: NDArray[np.uint16]
    entries: NDArray[np.uint64]
    found: NDArray[np.uint16]
    steps: NDArray[np.uint16]
    parts: NDArray[np.int64]
    present: NDArray[np.int64]


class ScoreLimits(NamedTuple):
    """What a query is bound by, fixed once it is begun.

    Attributes:
        k: how many rows are wanted.
        unit: of sums, as a score.
        rounding: a row that scores s units has a sum of at least s - rounding.
        excess: and of at most s + excess.
        most: lower than the sum of any row whose score is too high for float32.
    """

    k: int
    unit: float
    rounding: Integer
    excess: Integer
    most: Integer


class BestPool(NamedTuple):
    """Rows that may be among the k best of a query.

    Attributes:
        keys: (c,) int64: lower for a better row, by score and then row; of equal scores the lower
            row comes first.
        bins: (BINS,) int64 how many scores fell into each, in units >> BIN_BITS.
        numbers: (4,) int64: rows held; lowest bin that is counted; scores in it and above; the
            least sum that is wanted.
    """

    keys: NDArray[np.int64]
    bins: NDArray[np.int64]
    numbers: NDArray[np.int64]


@compiled
def make_room(terms: int) -> Room:
    """Return room for queries of at most so many terms."""
    return Room(
        np.zeros(BLOCK, np.uint16),
        np.zeros(BLOCK // GROUP, np.uint16),
        np.empty(BLOCK // GROUP**2, np.uint16),
        np.empty(BLOCK // GROUP + 1, np.uint16),
        np.empty(BINS, np.int64),
        np.empty(BLOCK + 1, np.uint16),
        np.empty(BLOCK, np.float32),
        np.zeros(BLOCK, np.uint16),
        np.empty(BLOCK + 1, np.uint64),
        np.empty(BLOCK + 1, np.uint16),
        np.empty(terms, np.uint16),
        np.empty(terms, np.int64),
        np.empty(terms, np.int64),
    )


@compiled
def make_pool(k: int) -> BestPool:
    """Return a pool for the k best rows, and for what may take their places."""
    return BestPool(
        np.empty(4 * k + 1024, np.int64), np.empty(BINS, np.int64), np.empty(4, np.int64)
    )
