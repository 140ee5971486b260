"""Where entries of postings lie: those of a term in one block of rows are a part."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from index.storage.arrays import ascends_within

BLOCK_BITS = 16
BLOCK = 1 << BLOCK_BITS  # rows, so that a row within its block takes two bytes


def block_type(rows: int) -> type[np.uint8] | type[np.uint16]:
    """Return what numbers of blocks of so many rows are stored as, and how many a term has."""
    return np.uint8 if rows <= 256 * BLOCK else np.uint16


@dataclass(frozen=True, eq=False)
class Parts:
    """Parts of all terms, in order; every one has entries.

    Where there is one block at most, each term is one part, and `counts` and `blocks` are empty.

    Attributes:
        counts: (t,) uint8 or uint16: parts of each term, less one.
        blocks: (parts,) uint8 or uint16: block of each part, ascending within a term.
        sizes: (parts,) uint16: entries of each part, less one.
        rows: number of rows of all blocks.
    """

    counts: NDArray[Any]
    blocks: NDArray[Any]
    sizes: NDArray[np.uint16]
    rows: int

    @staticmethod
    def joined(parts: Sequence["Parts"], rows: int) -> "Parts":
        """Return the parts of terms that follow each other, of the same rows."""
        none = np.zeros(0, block_type(rows))
        return Parts(
            np.concatenate([none, *(part.counts for part in parts)]),
            np.concatenate([none, *(part.blocks for part in parts)]),
            np.concatenate([np.zeros(0, np.uint16), *(part.sizes for part in parts)]),
            rows,
        )

    @property
    def single(self) -> bool:
        """Whether there is one block at most."""
        return self.rows <= BLOCK

    @cached_property
    def starts(self) -> NDArray[np.int64]:
        """First entry of each part, and the number of all: (parts + 1,) int64."""
        return _bounds(self.sizes)

    @cached_property
    def bounds(self) -> NDArray[np.int64]:
        """The parts of term i are bounds[i] to bounds[i + 1]: (t + 1,) int64."""
        return np.arange(len(self.sizes) + 1) if self.single else _bounds(self.counts)

    @cached_property
    def indptr(self) -> NDArray[np.int64]:
        """The entries of term i are indptr[i] to indptr[i + 1]: (t + 1,) int64."""
        return self.starts if self.single else self.starts[self.bounds]

    def check_sizes(self, terms: int, entries: int) -> None:
        """Look whether there are as many parts and entries as there should be; nothing is read.

        Raises:
            ValueError: there are not.
        """
        counted, blocks = (0, 0) if self.single else (terms, len(self.sizes))
        if len(self.counts) != counted or len(self.blocks) != blocks:
            raise ValueError(
                f"{terms} terms of {self.rows} rows need {counted} counts and {blocks} blocks of "
                f"parts; got {len(self.counts)} and {len(self.blocks)}"
            )
        parts = terms if self.single else int(self.bounds[-1])
        if parts != len(self.sizes) or self.starts[-1] != entries:
            raise ValueError(
                f"{terms} terms and {entries} entries do not fit {len(self.sizes)} parts of "
                f"{self.starts[-1]} entries"
            )

    def check_blocks(self) -> None:
        """Look whether every part is in a block of the rows.

        Raises:
            ValueError: one is not.
        """
        if len(self.blocks) and int(self.blocks.max()) > (self.rows - 1) >> BLOCK_BITS:
            raise ValueError(f"parts must be in blocks of {self.rows} rows")

    def check_order(self) -> None:
        """Look whether the blocks of every term rise.

        Raises:
            ValueError: those of one do not.
        """
        if not self.single and not ascends_within(self.blocks, self.bounds):
            raise ValueError("the blocks of a term must rise")

    def of(self, terms: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the parts of some terms, term after term, and how many each has."""
        if self.single:
            return terms, np.ones(len(terms), np.int64)
        counts = self.bounds[terms + 1] - self.bounds[terms]
        return spread(self.bounds[terms], counts), counts

    def first_rows(self, parts: slice | NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the first row of the block of each of some parts."""
        if self.single:
            return np.zeros(len(self.sizes[parts]), np.int64)
        return self.blocks[parts].astype(np.int64) << BLOCK_BITS

    def of_rows(self, start: int, stop: int, entries: int) -> Iterator[NDArray[np.int64]]:
        """Yield the parts in the blocks of rows start to stop - 1, some at a time.

        There is more than one block.

        Args:
            start: below stop.
            stop: end of the rows.
            entries: how many those yielded together have, at most; or it is one part.
        """
        first, last = start >> BLOCK_BITS, (stop - 1) >> BLOCK_BITS
        parts = np.flatnonzero((self.blocks >= first) & (self.blocks <= last))
        ends = np.cumsum(self.starts[parts + 1] - self.starts[parts])
        at = before = 0
        while at < len(parts):
            end = max(int(np.searchsorted(ends, before + entries, side="right")), at + 1)
            yield parts[at:end]
            at, before = end, int(ends[end - 1])


def cut_parts(
    indptr: NDArray[np.signedinteger], holders: NDArray[Any], rows: int
) -> tuple[NDArray[np.uint16], Parts]:
    """Return the row of each entry within its block, and the parts.

    Args:
        indptr: (t + 1,) the entries of term i are indptr[i] to indptr[i + 1], at least one.
        holders: (entries,) row of each entry, ascending within a term.
        rows: number of rows.
    """
    low = holders.astype(np.uint16)
    none = np.zeros(0, block_type(rows))
    if rows <= BLOCK:
        return low, Parts(none, none, (np.diff(indptr) - 1).astype(np.uint16), rows)
    blocks = np.empty(len(holders), block_type(rows))
    np.right_shift(holders, BLOCK_BITS, out=blocks, casting="unsafe")  # holds no wider ones
    begins = np.ones(len(blocks), np.bool_)
    np.not_equal(blocks[1:], blocks[:-1], out=begins[1:])
    begins[indptr[:-1]] = True
    starts = np.flatnonzero(begins)
    sizes = np.diff(starts, append=len(holders)) - 1
    counts = np.diff(np.searchsorted(starts, indptr)) - 1
    return low, Parts(
        counts.astype(block_type(rows)), blocks[starts], sizes.astype(np.uint16), rows
    )


def spread(starts: NDArray[np.int64], sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the numbers from each start on, as many as its size, range after range."""
    before = np.cumsum(sizes) - sizes
    return np.repeat(starts - before, sizes) + np.arange(int(sizes.sum()))


def _bounds(less_one: NDArray[Any]) -> NDArray[np.int64]:
    """Return where ranges begin whose sizes are one more than given, and where the last ends."""
    bounds = np.zeros(len(less_one) + 1, np.int64)
    np.cumsum(less_one, out=bounds[1:])
    bounds += np.arange(len(bounds))
    return bounds
