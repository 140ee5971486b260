"""How large the weights of a term are, in each block of rows and by rank: bounds for pruning."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from embedder.compiled import compiled
from index.channels.pruning.blocks import BLOCK_BITS, Blocks, weigh

_LEVELS = 24  # the weights known of a term: the 2**level-th largest
_BINS = 256
_NEARLY_BINS = np.float32(255.9)


class WeightBounds(NamedTuple):
    """How large weights of a term are, by the statistics of a channel; filled by `measure_terms`.

    Attributes:
        largest: (parts,) float32 largest weight of each part.
        of_terms: (t,) float32 largest weight of each term.
        ranked: (t, levels) float32: the 2**level-th largest weight is at least this; 0 where a
            term has fewer entries.
    """

    largest: NDArray[np.float32]
    of_terms: NDArray[np.float32]
    ranked: NDArray[np.float32]


def no_bounds(blocks: Blocks) -> WeightBounds:
    """Return room for the bounds of all terms."""
    terms, parts = len(blocks.frequent), len(blocks.part_blocks)
    return WeightBounds(
        np.zeros(parts, np.float32),
        np.zeros(terms, np.float32),
        np.zeros((terms, _LEVELS), np.float32),
    )


@compiled
def measure_terms(
    terms: NDArray[np.int64], idf: NDArray[np.float32], blocks: Blocks, bounds: WeightBounds
) -> None:
    """Fill in the bounds of some terms; reads their entries twice.

    Args:
        terms: (n,) numbers of terms.
        idf: (n,) of each.
        blocks: of all entries.
        bounds: of all terms; those given are written.
    """
    for at in range(len(terms)):
        top = _measure_parts(terms[at], idf[at], blocks, bounds)
        bounds.of_terms[terms[at]] = top
        if top > 0 and top < np.inf:
            _rank_weights(terms[at], idf[at], blocks, bounds)


@compiled
def _measure_parts(term: int, idf: np.float32, blocks: Blocks, bounds: WeightBounds) -> np.float32:
    top = np.float32(0)
    for part in range(blocks.part_bounds[term], blocks.part_bounds[term + 1]):
        first = np.uint64(blocks.part_blocks[part]) << np.uint64(BLOCK_BITS)
        largest = np.float32(0)
        start, end = blocks.part_starts[part], blocks.part_starts[part + 1]
        for entry in range(np.uint64(start), np.uint64(end)):
            row = first + np.uint64(blocks.low[entry])
            largest = max(largest, weigh(blocks, entry, row, idf))
        bounds.largest[part] = largest
        top = max(top, largest)
    return top


@compiled
def _rank_weights(term: int, idf: np.float32, blocks: Blocks, bounds: WeightBounds) -> None:
    """Bound the 2**level-th largest weight from below, by a histogram."""
    bins = np.zeros(_BINS, np.int64)
    scale = _NEARLY_BINS / bounds.of_terms[term]
    for part in range(blocks.part_bounds[term], blocks.part_bounds[term + 1]):
        first = np.uint64(blocks.part_blocks[part]) << np.uint64(BLOCK_BITS)
        start, end = blocks.part_starts[part], blocks.part_starts[part + 1]
        for entry in range(np.uint64(start), np.uint64(end)):
            row = first + np.uint64(blocks.low[entry])
            bins[min(int(weigh(blocks, entry, row, idf) * scale), _BINS - 1)] += 1
    seen, level = 0, 0
    for at in range(_BINS - 1, -1, -1):
        seen += bins[at]
        while level < _LEVELS and seen >= 1 << level:
            bounds.ranked[term, level] = np.float32(at / scale * (1 - 2.0**-20))
            level += 1
