"""Postings of several segments merged term by term: memory does not grow with the entries."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from embedder.files.durable import naming
from index.channels.parts import Parts, cut_parts
from index.channels.postings import Postings
from index.channels.weight_codes import code_type, encode_weights, find_values

_ENTRIES = 1 << 20  # that are merged at a time, some 60 bytes each; a term is never cut


@dataclass(frozen=True, slots=True, eq=False)
class KeptRows:
    """Postings of a segment, and which of their rows are copied.

    Attributes:
        postings: of all rows.
        kept: (rows,) True where a row is copied.
    """

    postings: Postings
    kept: NDArray[np.bool_]


def merge_postings(parts: Sequence[KeptRows], folder: Path) -> Postings:
    """Return the postings of the kept rows of all parts, in order; entries are mapped.

    They are what inverting the matrix of those rows would give, to the byte. Memory is taken by
    terms, by their parts and by rows, not by entries.

    Args:
        parts: at least one, of the same columns.
        folder: on the disk that the entries are written to, in files without names.

    Raises:
        OSError: the disk is full or cannot be written.
        ValueError: there are 2**31 rows or more.
    """
    lengths = np.concatenate([part.postings.lengths[part.kept] for part in parts])
    if len(lengths) >= 2**31:
        raise ValueError(f"a segment holds fewer than 2**31 rows; got {len(lengths)}")
    terms = np.unique(np.concatenate([part.postings.terms for part in parts]))
    merge = _Merge.of(parts, terms)
    values = find_values(weights for part in parts for weights in _kept_weights(part))
    frequencies = np.zeros(len(terms), np.int64)
    cut: list[Parts] = []
    with naming(folder), TemporaryFile(dir=folder) as rows, TemporaryFile(dir=folder) as codes:
        for first, end in merge.ranges():
            counts, holders, weights = merge.entries(first, end)
            indptr = np.concatenate([[0], np.cumsum(counts[counts > 0])])
            low, own = cut_parts(indptr, holders, len(lengths))
            rows.write(low.data)
            codes.write(encode_weights(weights, values).data)
            cut.append(own)
            frequencies[first:end] = counts
        total = int(frequencies.sum())
        return Postings(
            terms=terms[frequencies > 0],
            parts=Parts.joined(cut, len(lengths)),
            low=_mapped(rows, np.uint16, total),
            codes=_mapped(codes, code_type(len(values)), total),
            values=values,
            lengths=lengths,
            columns=parts[0].postings.columns,
        )


def _kept_weights(part: KeptRows) -> Iterator[NDArray[np.float32]]:
    """Yield the weights of entries of kept rows, some at a time."""
    whole = bool(part.kept.all())
    for at, rows in part.postings.chunks():
        weights = part.postings.weights(slice(at, at + len(rows)))
        yield weights if whole else weights[part.kept[rows]]


@dataclass(frozen=True, slots=True, eq=False)
class _Merge:
    """Postings on their way into one.

    Attributes:
        parts: postings of each segment.
        numbers: for each, (rows,) int32 number of a row in the new segment, -1 where it goes.
        places: for each, (its terms,) int32, ascending: place of a term among all terms.
        sizes: (all terms,) int64 entries that a term has in all parts, kept or not.
    """

    parts: Sequence[Postings]
    numbers: Sequence[NDArray[np.int32]]
    places: Sequence[NDArray[np.int32]]
    sizes: NDArray[np.int64]

    @staticmethod
    def of(parts: Sequence[KeptRows], terms: NDArray[np.int64]) -> "_Merge":
        numbers, places, start = [], [], 0
        sizes = np.zeros(len(terms), np.int64)
        for part in parts:
            own = np.searchsorted(terms, part.postings.terms).astype(np.int32)
            sizes[own] += np.diff(part.postings.indptr)
            counted = np.cumsum(part.kept) - 1 + start
            numbers.append(np.where(part.kept, counted, -1).astype(np.int32))
            places.append(own)
            start += int(part.kept.sum())
        return _Merge([part.postings for part in parts], numbers, places, sizes)

    def ranges(self) -> Iterator[tuple[int, int]]:
        """Yield first and end of ranges of terms, each of one term or of few enough entries."""
        ends = np.cumsum(self.sizes)
        first = before = 0
        while first < len(ends):
            end = int(np.searchsorted(ends, before + _ENTRIES, side="right"))
            end = max(end, first + 1)
            yield first, end
            first, before = end, int(ends[end - 1])

    def entries(
        self, first: int, end: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32]]:
        """Return how many kept entries each term of a range has, their rows and their weights."""
        cut = [self._cut(at, first, end) for at in range(len(self.parts))]
        frequencies = np.zeros(end - first, np.int64)
        for terms, counts, _, _ in cut:
            frequencies[terms] += counts
        holders = np.empty(int(frequencies.sum()), np.int32)
        weights = np.empty(len(holders), np.float32)
        free = np.cumsum(frequencies) - frequencies  # (terms,) where the next part's entries go
        for terms, counts, rows, values in cut:
            shift = free[terms] - (np.cumsum(counts) - counts)
            at = np.repeat(shift, counts) + np.arange(len(rows))
            holders[at], weights[at] = rows, values
            free[terms] += counts
        return frequencies, holders, weights

    def _cut(
        self, at: int, first: int, end: int
    ) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.int32], NDArray[np.float32]]:
        """Return a part's terms in a range, kept entries of each, and rows and weights of those."""
        postings, places = self.parts[at], self.places[at]
        begin, stop = np.searchsorted(places, np.array([first, end], np.int32))
        bounds = postings.indptr[begin : stop + 1]
        rows = self.numbers[at][postings.holders(int(bounds[0]), int(bounds[-1]))]
        kept = rows >= 0
        starts = bounds[:-1] - bounds[0]
        counts = np.add.reduceat(kept, starts, dtype=np.int64) if len(starts) else starts
        values = postings.weights(slice(int(bounds[0]), int(bounds[-1])))[kept]
        return places[begin:stop] - np.int32(first), counts, rows[kept], values


def _mapped(file: IO[bytes], dtype: DTypeLike, count: int) -> NDArray[Any]:
    """Map what was written to a file, which may then be closed."""
    file.flush()
    return np.memmap(file, dtype, mode="r", shape=(count,)) if count else np.zeros(0, dtype)
