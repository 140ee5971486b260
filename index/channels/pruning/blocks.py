"""Postings cut into blocks of rows, with bitmaps of frequent terms: what pruned search reads."""

from typing import Any, NamedTuple

import numpy as np
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from embedder.compiled import compiled
from index.channels.postings import Postings

Integer = int | np.integer[Any]

BLOCK_BITS = 16
BLOCK = 1 << BLOCK_BITS  # rows, so that a row of a block takes two bytes
_FREQUENT = 16  # a term that stands in one row of so many has a bitmap
_WORDS = 4  # words of 64 rows for which entries before them are counted
_SLOTS = 1 << 18
_MOST_VALUES = 1 << 16
_EMPTY = np.uint32(0)  # bits of a weight of 0, which no entry has


class Blocks(NamedTuple):
    """Entries of all terms; those of a term in a block of BLOCK rows are a part.

    Attributes:
        low: (entries,) uint16: row of each entry within its block.
        codes: (entries,) place of each entry's weight in `values`, uint8 or uint16; or its
            float32 bits, uint32, where there are too many different ones.
        values: (v,) float32 different weights, ascending; none where codes are bits.
        norms: (rows,) float32: what BM25 adds to a count; none where weights are impacts.
        part_bounds: (t + 1,) int64: the parts of term i are part_bounds[i] to part_bounds[i + 1].
        part_blocks: (parts,) int32: block of each part, ascending within a term.
        part_starts: (parts + 1,) int64: first entry of each part.
        frequent: (t,) int32: number of the bitmap of a term, or -1.
        bitmaps: (b, words) uint64: a bit for each row that holds the term.
        ranks: (b, words / 4) uint32: entries of the term before each four words.
        rows: number of rows.
    """

    low: NDArray[np.uint16]
    codes: NDArray[Any]
    values: NDArray[np.float32]
    norms: NDArray[np.float32]
    part_bounds: NDArray[np.int64]
    part_blocks: NDArray[np.int32]
    part_starts: NDArray[np.int64]
    frequent: NDArray[np.int32]
    bitmaps: NDArray[np.uint64]
    ranks: NDArray[np.uint32]
    rows: int


@intrinsic  # type: ignore[untyped-decorator]
def count_bits(typing: Any, word: Any) -> Any:  # noqa: ANN401
    """Return the number of bits that are set: one instruction."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ANN401
        return builder.ctpop(arguments[0])

    return types.uint64(types.uint64), generate


def cut_blocks(postings: Postings, norms: NDArray[np.float32]) -> Blocks:
    """Return postings as blocks, in memory.

    Args:
        postings: checked.
        norms: what BM25 adds to the count of each row; empty for impacts.
    """
    holders = postings.holders.view(np.uint32)
    low = holders.astype(np.uint16)
    blocks = -(-postings.rows // BLOCK)
    most = min(len(holders), len(postings.terms) * blocks)
    part_bounds = np.zeros(len(postings.terms) + 1, np.int64)
    part_blocks, part_starts = np.empty(most, np.int32), np.empty(most + 1, np.int64)
    parts = _cut_parts(postings.indptr, holders, part_bounds, part_blocks, part_starts)
    part_blocks, part_starts = part_blocks[:parts].copy(), part_starts[: parts + 1].copy()
    values, codes = _code_weights(postings.weights)
    counts = postings.document_frequency()
    chosen = np.flatnonzero(counts * _FREQUENT >= postings.rows)
    frequent = np.full(len(counts), -1, np.int32)
    frequent[chosen] = np.arange(len(chosen))
    quads = -(-postings.rows // (64 * _WORDS))
    bitmaps = np.zeros((len(chosen), quads * _WORDS), np.uint64)
    ranks = np.zeros((len(chosen), quads), np.uint32)
    _fill_bitmaps(chosen, postings.indptr, holders, bitmaps, ranks)
    return Blocks(
        low, codes, values, norms, part_bounds, part_blocks, part_starts, frequent, bitmaps, ranks,
        postings.rows,
    )  # fmt: skip


def _code_weights(weights: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[Any]]:
    """Return the different weights, ascending, and the place of each; or none, and their bits."""
    bits = weights.view(np.uint32)
    slots = np.zeros(_SLOTS, np.uint32)
    count = _collect_values(bits, slots)
    if count > _MOST_VALUES:
        return np.zeros(0, np.float32), bits
    values = np.sort(slots[slots != _EMPTY]).view(np.float32)
    codes = np.empty(len(bits), np.uint8 if count <= 256 else np.uint16)
    _look_up_values(bits, values.view(np.uint32), slots, codes)
    return values, codes


@compiled
def _slot_of(bits: np.uint32, slots: NDArray[np.uint32]) -> np.uint32:
    """Return where bits stand in a hash table, or may be put."""
    at = np.uint32((bits * np.uint32(2654435761)) & np.uint32(0xFFFFFFFF)) >> np.uint32(14)
    while slots[at] != bits and slots[at] != _EMPTY:
        at = np.uint32((at + np.uint32(1)) & np.uint32(_SLOTS - 1))
    return at


@compiled
def _collect_values(bits: NDArray[np.uint32], slots: NDArray[np.uint32]) -> int:
    """Put different values into a hash table; stop when there are too many. Return how many."""
    count = 0
    for value in bits:
        at = _slot_of(value, slots)
        if slots[at] != value:
            slots[at] = value
            count += 1
            if count > _MOST_VALUES:
                break
    return count


@compiled
def _look_up_values(
    bits: NDArray[np.uint32],
    values: NDArray[np.uint32],
    slots: NDArray[np.uint32],
    codes: NDArray[Any],
) -> None:
    """Write the place of each among the values, all of which are in the hash table."""
    places = np.zeros(_SLOTS, np.uint32)
    for place in range(len(values)):
        places[_slot_of(values[place], slots)] = place
    for entry in range(len(bits)):
        codes[entry] = places[_slot_of(bits[entry], slots)]


@compiled
def _cut_parts(
    indptr: NDArray[np.int64],
    holders: NDArray[np.uint32],
    part_bounds: NDArray[np.int64],
    part_blocks: NDArray[np.int32],
    part_starts: NDArray[np.int64],
) -> int:
    """Write the parts of each term, block and first entry of each; return how many."""
    part = 0
    for term in range(len(indptr) - 1):
        before = np.int64(-1)
        for entry in range(indptr[term], indptr[term + 1]):
            block = np.int64(holders[entry] >> np.uint32(BLOCK_BITS))
            if block != before:
                part_blocks[part] = block
                part_starts[part] = entry
                part += 1
                before = block
        part_bounds[term + 1] = part
    part_starts[part] = indptr[-1]
    return part


@compiled
def _fill_bitmaps(
    chosen: NDArray[np.int64],
    indptr: NDArray[np.int64],
    holders: NDArray[np.uint32],
    bitmaps: NDArray[np.uint64],
    ranks: NDArray[np.uint32],
) -> None:
    """Set the bits of frequent terms, and count them."""
    for number in range(len(chosen)):
        for entry in range(indptr[chosen[number]], indptr[chosen[number] + 1]):
            row = np.uint64(holders[entry])
            bitmaps[number, row >> np.uint64(6)] |= np.uint64(1) << (row & np.uint64(63))
        before = np.uint64(0)
        for word in range(bitmaps.shape[1]):
            if word % _WORDS == 0:
                ranks[number, word // _WORDS] = before
            before += count_bits(bitmaps[number, word])


@compiled
def weigh(blocks: Blocks, entry: Integer, row: Integer, idf: np.float32) -> Any:  # noqa: ANN401
    """Return what an entry is worth, in the arithmetic of `InvertedChannel`."""
    code = blocks.codes[entry]
    count = blocks.values[code] if len(blocks.values) else np.uint32(code).view(np.float32)
    if len(blocks.norms):
        return count / (count + blocks.norms[row]) * idf
    return count
