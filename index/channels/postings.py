"""Postings: which rows hold a term and how strongly, as they lie on disk, memory-mapped."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from index.channels.parts import BLOCK_BITS, Parts, spread
from index.channels.weight_codes import MOST_VALUES
from index.storage.arrays import ascends, ascends_within

CHUNK = 1 << 16  # entries that are decoded at a time: eight bytes each stay in a cache


@dataclass(frozen=True, slots=True, eq=False)
class Postings:
    """A sparse matrix by columns; columns without entries take no space.

    An entry takes two bytes for its row and one or two for its weight, or four where a table of
    the different weights would be too large. Entries of a term in a block of rows are a part.

    Attributes:
        terms: (t,) int64, ascending: columns that have entries.
        parts: of all terms.
        low: (entries,) uint16: row of each entry within its block, ascending within a part.
        codes: (entries,) place of each weight among the values, uint8 or uint16; the weights
            themselves, float32, where there are no values.
        values: (v,) float32 different weights, positive, ascending.
        lengths: (rows,) float32: sum of the weights of each row.
        columns: number of columns of the matrix.
    """

    terms: NDArray[np.int64]
    parts: Parts
    low: NDArray[np.uint16]
    codes: NDArray[Any]
    values: NDArray[np.float32]
    lengths: NDArray[np.float32]
    columns: int

    def __post_init__(self) -> None:
        entries = len(self.low)
        if self.parts.rows != self.rows:
            raise ValueError(f"parts are of {self.parts.rows} rows; lengths of {self.rows}")
        self.parts.check_sizes(len(self.terms), entries)
        if len(self.codes) != entries:
            raise ValueError(f"{entries} entries need as many weights; got {len(self.codes)}")
        if len(self.values) > MOST_VALUES:
            raise ValueError(f"at most {MOST_VALUES} weights have codes; got {len(self.values)}")

    def check(self) -> None:
        """Look at every number: compiled code reads and writes wherever they point.

        Takes a second for 300 million entries that are in memory, and as long as the disk for
        others.

        Raises:
            ValueError: a number cannot be where it is.
        """
        if not (ascends(self.terms, strictly=True) and _within(self.terms, self.columns)):
            raise ValueError(f"terms must rise from 0 on and stay below {self.columns}")
        self.check_places()
        self.parts.check_order()
        if not ascends_within(self.low, self.parts.starts):
            raise ValueError("the rows of a term must rise")
        weights = self.values if len(self.values) else self.codes
        with np.errstate(invalid="ignore"):
            for name, numbers in (("weights", weights), ("lengths", self.lengths)):
                if len(numbers) and not 0 <= numbers.min() <= numbers.max() < np.inf:
                    raise ValueError(f"{name} must be finite and not below 0")
        if len(weights) and weights.min() == 0:
            raise ValueError("weights must be above 0")
        if not ascends(self.values, strictly=True):
            raise ValueError("values of weights must rise")

    def check_places(self) -> None:
        """Look where entries point: to rows, and to weights.

        Raises:
            ValueError: one points elsewhere.
        """
        if not len(self.low):
            return
        self.parts.check_blocks()
        highest, last = np.maximum.reduceat(self.low, self.parts.starts[:-1]), 0
        if not self.parts.single:  # rows of the other blocks are below them
            last = (self.rows - 1) >> BLOCK_BITS
            highest = highest[self.parts.blocks == last]
        row = (last << BLOCK_BITS) + int(highest.max(initial=0))
        if row >= self.rows:
            raise ValueError(f"entries must be of rows 0 to {self.rows - 1}; one is of row {row}")
        if len(self.values) and int(self.codes.max()) >= len(self.values):
            raise ValueError(
                f"codes of weights must be below {len(self.values)}; got {self.codes.max()}"
            )

    @property
    def rows(self) -> int:
        """Number of rows, deleted and empty ones included."""
        return len(self.lengths)

    @property
    def indptr(self) -> NDArray[np.int64]:
        """Bounds of terms: entries of terms[i] are indptr[i] to indptr[i + 1]; (t + 1,) int64."""
        return self.parts.indptr

    def holders(self, start: int, end: int) -> NDArray[np.int64]:
        """Return the rows of entries start to end - 1."""
        rows = self.low[start:end].astype(np.int64)
        if self.parts.single or start >= end:
            return rows
        starts = self.parts.starts
        first = int(np.searchsorted(starts, start, side="right")) - 1
        last = int(np.searchsorted(starts, end))
        bounds = np.clip(starts[first : last + 1], start, end)
        rows += np.repeat(self.parts.first_rows(slice(first, last)), bounds[1:] - bounds[:-1])
        return rows

    def weights(self, entries: slice | NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the weights of some entries."""
        codes = self.codes[entries]
        if not len(self.values):
            return codes
        if len(codes) <= CHUNK:
            return self.values.take(codes)
        weights = np.empty(len(codes), np.float32)
        for at in range(0, len(codes), CHUNK):  # an index takes eight bytes meanwhile
            weights[at : at + CHUNK] = self.values.take(codes[at : at + CHUNK])
        return weights

    def chunks(self) -> Iterator[tuple[int, NDArray[np.int64]]]:
        """Yield the first of some entries and the rows of these, until all have been."""
        for at in range(0, len(self.low), CHUNK):
            yield at, self.holders(at, min(at + CHUNK, len(self.low)))

    def find(self, term: int, row: int) -> int | None:
        """Return the entry of the term of a number in a row, if there is one."""
        parts, _ = self.parts.of(np.array([term]))
        firsts = self.parts.first_rows(parts)
        at = int(np.searchsorted(firsts, row, side="right")) - 1
        if at < 0:
            return None
        start, end = self.parts.starts[parts[at] : parts[at] + 2].tolist()
        place = start + int(np.searchsorted(self.low[start:end], row - firsts[at]))
        return place if place < end and self.low[place] == row - firsts[at] else None

    def within(self, start: int, stop: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the entries of rows start to stop - 1, ascending, and the row of each."""
        entries, rows = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
        for own, holders in self._near(start, stop):
            inside = np.flatnonzero((holders >= start) & (holders < stop))
            entries.append(own[inside])
            rows.append(holders[inside])
        return np.concatenate(entries), np.concatenate(rows)

    def _near(self, start: int, stop: int) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """Yield the entries, and their rows, of blocks that hold rows start to stop - 1."""
        if self.parts.single:
            for at, rows in self.chunks():
                yield np.arange(at, at + len(rows)), rows
            return
        for parts in self.parts.of_rows(start, stop, CHUNK):
            first = self.parts.starts[parts]
            sizes = self.parts.starts[parts + 1] - first
            entries = spread(first, sizes)
            bases = np.repeat(self.parts.first_rows(parts), sizes)
            yield entries, bases + self.low[entries]

    def document_frequency(self, live: NDArray[np.bool_] | None = None) -> NDArray[np.int64]:
        """Return in how many (live) rows each term stands: (t,) int64."""
        if live is None:
            return np.diff(self.indptr)
        counted, starts = np.zeros(len(self.terms), np.int64), self.indptr[:-1]
        for at, rows in self.chunks():
            first = int(np.searchsorted(starts, at, side="right")) - 1
            end = int(np.searchsorted(starts, at + len(rows)))
            bounds = np.maximum(starts[first:end] - at, 0)
            counted[first:end] += np.add.reduceat(live[rows], bounds, dtype=np.int64)
        return counted

    def to_csr(self, keep: NDArray[np.bool_] | None = None) -> csr_matrix:
        """Return the matrix that was built from, cut to the rows that are True in `keep`."""
        if keep is None or keep.all():
            rows, indptr = self.rows, self.indptr
            holders, weights = np.empty(len(self.low), np.int32), self.weights(slice(None))
            for at, own in self.chunks():
                holders[at : at + len(own)] = own
        else:  # before the matrix is turned: a few rows are light
            kept, numbered = [np.zeros(0, np.int64)], [np.zeros(0, np.int32)]
            numbers, rows = np.cumsum(keep, dtype=np.int32) - np.int32(1), int(keep.sum())
            for at, own in self.chunks():
                inside = np.flatnonzero(keep[own])
                kept.append(inside + at)
                numbered.append(numbers[own[inside]])
            entries, holders = np.concatenate(kept), np.concatenate(numbered)
            weights, indptr = self.weights(entries), np.searchsorted(entries, self.indptr)
        shape = (max(len(self.terms), 1), rows)
        indptr = indptr if len(self.terms) else np.zeros(2, np.int64)
        compact = csr_matrix(csr_matrix((weights, holders, indptr), shape=shape).T)
        columns = self.terms[compact.indices]
        return csr_matrix((compact.data, columns, compact.indptr), shape=(rows, self.columns))

    def read(self, rows: NDArray[np.int64]) -> csr_matrix:
        """Return some rows in the order given, as they were built from; looks at every entry."""
        distinct, place = np.unique(rows, return_inverse=True)
        keep = np.zeros(self.rows, np.bool_)
        keep[distinct] = True
        return self.to_csr(keep)[place]


def _within(numbers: NDArray[Any], end: int) -> bool:
    """Tell whether all are from 0 to end - 1."""
    return not len(numbers) or bool(0 <= numbers.min() and numbers.max() < end)
