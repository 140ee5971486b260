"""How large the weights of a term are, of each entry and by rank: bounds for pruning."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from embedder.compiled import compiled
from index.channels.pruning.blocks import BLOCK, BLOCK_BITS, Blocks, weigh

_LEVELS = 24  # the weights known of a term: the 2**level-th largest
CODES = 254.99  # the largest weight of a term, as a code before it is rounded up


class WeightBounds(NamedTuple):
    """How large weights of a term are, by the statistics of a channel; filled by `measure_terms`.

    A code c says that a weight is at most c / CODES of the largest of its term. Memory of a term
    is taken when it is measured.

    Attributes:
        codes: (entries,) uint8 of terms without a bitmap.
        columns: (b, rows) uint8 codes of terms with a bitmap, by row; 0 where a row has none. Rows
            are padded to whole blocks.
        largest: (parts,) float32 largest weight of each part.
        of_terms: (t,) float32 largest weight of each term.
        ranked: (t, levels) float32: the 2**level-th largest weight is at least this; 0 where a
            term has fewer entries.
    """

    codes: NDArray[np.uint8]
    columns: NDArray[np.uint8]
    largest: NDArray[np.float32]
    of_terms: NDArray[np.float32]
    ranked: NDArray[np.float32]


def no_bounds(blocks: Blocks) -> WeightBounds:
    """Return room for the bounds of all terms."""
    terms, parts = len(blocks.frequent), len(blocks.part_blocks)
    return WeightBounds(
        np.zeros(len(blocks.low), np.uint8),
        np.zeros((len(blocks.bitmaps), -(-blocks.rows // BLOCK) * BLOCK), np.uint8),
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
        if top > 0:
            _code_entries(terms[at], idf[at], blocks, bounds)


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
def _code_entries(term: int, idf: np.float32, blocks: Blocks, bounds: WeightBounds) -> None:
    """Write codes of a term's entries; bound its 2**level-th largest weight from below by them."""
    bins = np.zeros(256, np.int64)
    scale = CODES / np.float64(bounds.of_terms[term])
    number = blocks.frequent[term]
    for part in range(blocks.part_bounds[term], blocks.part_bounds[term + 1]):
        first = np.uint64(blocks.part_blocks[part]) << np.uint64(BLOCK_BITS)
        start, end = blocks.part_starts[part], blocks.part_starts[part + 1]
        for entry in range(np.uint64(start), np.uint64(end)):
            row = first + np.uint64(blocks.low[entry])
            code = np.uint8(np.int64(weigh(blocks, entry, row, idf) * scale) + 1)
            bins[code] += 1
            if number >= 0:
                bounds.columns[number, row] = code
            else:
                bounds.codes[entry] = code
    seen, level = 0, 0
    for above in range(255, 0, -1):
        seen += bins[above]
        while level < _LEVELS and seen >= 1 << level:
            bounds.ranked[term, level] = np.float32((above - 1) / scale * (1 - 2.0**-20))
            level += 1
