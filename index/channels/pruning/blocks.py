"""Postings cut into blocks of rows, with bitmaps of frequent terms: what pruned search reads."""

from typing import Any, NamedTuple

import numpy as np
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from embedder.compiled import compiled
from index.channels.parts import BLOCK as BLOCK
from index.channels.parts import BLOCK_BITS as BLOCK_BITS
from index.channels.postings import Postings
from index.storage.arrays import read_only

Integer = int | np.integer[Any]

_FREQUENT = 16  # a term that stands in one row of so many has a bitmap
_WORDS = 4  # words of 64 rows for which entries before them are counted


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
    """Return postings as blocks: those of entries are as they were given, read-only.

    Args:
        postings: checked.
        norms: what BM25 adds to the count of each row; empty for impacts.
    """
    counts, parts = postings.document_frequency(), postings.parts
    chosen = np.flatnonzero(counts * _FREQUENT >= postings.rows)
    frequent = np.full(len(counts), -1, np.int32)
    frequent[chosen] = np.arange(len(chosen))
    quads = -(-postings.rows // (64 * _WORDS))
    codes = postings.codes if len(postings.values) else postings.codes.view(np.uint32)
    blocks = Blocks(
        low=read_only(postings.low),
        codes=read_only(codes),
        values=read_only(postings.values),
        norms=norms,
        part_bounds=parts.bounds,
        part_blocks=(parts.first_rows(slice(None)) >> BLOCK_BITS).astype(np.int32),
        part_starts=parts.starts,
        frequent=frequent,
        bitmaps=np.zeros((len(chosen), quads * _WORDS), np.uint64),
        ranks=np.zeros((len(chosen), quads), np.uint32),
        rows=postings.rows,
    )
    _fill_bitmaps(chosen, blocks)
    return blocks


@compiled
def _fill_bitmaps(chosen: NDArray[np.int64], blocks: Blocks) -> None:
    """Set the bits of frequent terms, and count them."""
    for number in range(len(chosen)):
        bits = blocks.bitmaps[number]
        for part in range(
            blocks.part_bounds[chosen[number]], blocks.part_bounds[chosen[number] + 1]
        ):
            first = np.uint64(blocks.part_blocks[part]) << np.uint64(BLOCK_BITS)
            for entry in range(blocks.part_starts[part], blocks.part_starts[part + 1]):
                row = first + np.uint64(blocks.low[entry])
                bits[row >> np.uint64(6)] |= np.uint64(1) << (row & np.uint64(63))
        before = np.uint64(0)
        for word in range(len(bits)):
            if word % _WORDS == 0:
                blocks.ranks[number, word // _WORDS] = before
            before += count_bits(bits[word])


@compiled
def weigh(blocks: Blocks, entry: Integer, row: Integer, idf: np.float32) -> Any:  # noqa: ANN401
    """Return what an entry is worth, in the arithmetic of `InvertedChannel`."""
    code = blocks.codes[entry]
    count = blocks.values[code] if len(blocks.values) else np.uint32(code).view(np.float32)
    if len(blocks.norms):
        return count / (count + blocks.norms[row]) * idf
    return count
