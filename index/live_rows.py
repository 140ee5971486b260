"""Live documents of an index with their rows, block by block, and live rows term by term."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, islice

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from embedder.types import Representation
from index.channels.dense import DenseChannel
from index.channels.postings import CHUNK, Postings
from index.documents import Document
from index.folder import Index
from index.segment import SegmentRows

BLOCK = 2048  # documents that are in memory at a time
_BAND = 1 << 14  # rows that are taken out of postings at a time; each band goes through all of them


@dataclass(frozen=True, slots=True, eq=False)
class DocumentBlock:
    """Some documents in order, with the rows that stand for them.

    Attributes:
        documents: at least one.
        rows: channel -> rows; `owner` is the position of a document among `documents`.
    """

    documents: Sequence[Document]
    rows: Mapping[str, Representation]


def live_blocks(index: Index, channels: Sequence[str]) -> Iterator[DocumentBlock]:
    """Yield the live documents of an index in order, with their rows of some channels.

    Memory does not grow with the collection, which a merge leaves in a single segment.
    """
    widths = {name: index.channels[name].dim or 1 for name in channels}
    for segment in index.opened:
        live = segment.documents.live
        readers = {
            name: _RowReader(segment.channels[name], width) for name, width in widths.items()
        }
        stream = segment.documents.store.stream()
        while some := list(islice(stream, BLOCK)):
            first, end = some[0][0], some[-1][0] + 1
            kept = np.ones(len(some), np.bool_) if live is None else live[first:end]
            documents = [document for (_, document), keep in zip(some, kept, strict=True) if keep]
            if documents:
                rows = {name: reader.read(first, kept) for name, reader in readers.items()}
                yield DocumentBlock(documents, rows)


class _RowReader:
    """Reads rows of one channel of a segment by the ordinals of their documents."""

    def __init__(self, rows: SegmentRows, width: int) -> None:
        self._rows = rows
        self._width = width
        self._start, self._band = 0, csr_matrix(np.zeros((0, 1), np.float32))

    def read(self, first: int, kept: NDArray[np.bool_]) -> Representation:
        """Return the rows of the documents from `first` on that are True in `kept`."""
        documents = self._rows.documents
        bounds = np.array([first, first + len(kept)], np.int32)  # else all would be widened
        start, stop = map(int, np.searchsorted(documents, bounds))
        at = documents[start:stop] - np.int32(first)
        live = kept[at]
        owner = (np.cumsum(kept, dtype=np.int64) - 1)[at[live]]
        content = self._rows.content
        if isinstance(content, DenseChannel):
            return Representation(content.read(slice(start, stop))[live], None, owner)
        if isinstance(content, Postings):
            return Representation(None, self._sparse(content, start, stop)[live], owner)
        return Representation(None, content.rows_from(start, stop)[live], owner)

    def _sparse(self, postings: Postings, start: int, stop: int) -> csr_matrix:
        if not (self._start <= start and stop <= self._start + self._band.shape[0]):
            self._start = start
            end = min(max(stop, start + _BAND), postings.rows)
            self._band = _band(postings, start, end, self._width)
        return self._band[start - self._start : stop - self._start]


def _band(postings: Postings, start: int, stop: int, width: int) -> csr_matrix:
    """Return rows start to stop - 1 of postings, (stop - start, width) float32."""
    entries, holders = postings.within(start, stop)
    rows = holders - start
    order = np.argsort(rows, kind="stable")  # terms rise within a row, as they do in the postings
    terms = np.searchsorted(postings.indptr, entries[order], side="right") - 1
    ends = np.cumsum(np.bincount(rows, minlength=stop - start))
    return csr_matrix(
        (postings.weights(entries[order]), postings.terms[terms], np.concatenate(([0], ends))),
        shape=(stop - start, width),
    )


class LivePostings:
    """Postings of a sparse channel over its live rows, numbered from 0 in the order of the index.

    Attributes:
        terms: (t,) int64, ascending: columns that a live row has.
        rows: number of live rows.
    """

    def __init__(self, index: Index, channel: str) -> None:
        parts = [segment.channels[channel] for segment in index.opened]
        self._parts = [
            _LivePart(
                part.content if isinstance(part.content, Postings) else part.content.to_postings(),
                part.live,
            )
            for part in parts
            if not isinstance(part.content, DenseChannel)
        ]
        self._starts = list(accumulate((part.rows for part in self._parts), initial=0))
        self.rows = self._starts[-1]
        terms = [part.terms for part in self._parts]
        self.terms: NDArray[np.int64] = np.unique(np.concatenate([np.zeros(0, np.int64), *terms]))

    @property
    def whole(self) -> bool:
        """Whether every weight is a whole number, as impacts of Lucene are."""
        return all(_whole(part.postings) for part in self._parts)

    def entries(self, term: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return the numbers of the rows that hold a term, rising, and its weight in each."""
        found = [part.entries(term) for part in self._parts]
        rows = [rows + start for (rows, _), start in zip(found, self._starts, strict=False)]
        weights = [weights for _, weights in found]
        empty = np.zeros(0, np.int64), np.zeros(0, np.float32)
        return np.concatenate([empty[0], *rows]), np.concatenate([empty[1], *weights])


class _LivePart:
    """The postings of one segment, and the numbers of its live rows."""

    def __init__(self, postings: Postings, live: NDArray[np.bool_] | None) -> None:
        self.postings = postings
        self.rows = postings.rows if live is None else int(live.sum())
        self.terms = postings.terms[postings.document_frequency(live) > 0]
        self._live = live
        self._numbers = None if live is None else np.cumsum(live, dtype=np.int64) - 1

    def entries(self, term: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        postings = self.postings
        at = int(np.searchsorted(postings.terms, term))
        there = at < len(postings.terms) and postings.terms[at] == term
        start, end = postings.indptr[at : at + 2].tolist() if there else (0, 0)
        holders, weights = postings.holders(start, end), postings.weights(slice(start, end))
        if self._live is None or self._numbers is None:
            return holders, weights
        kept = self._live[holders]
        return self._numbers[holders[kept]], weights[kept]


def _whole(postings: Postings) -> bool:
    weights = postings.values if len(postings.values) else postings.codes
    parts = (weights[at : at + CHUNK] for at in range(0, len(weights), CHUNK))
    return all(np.array_equal(part, np.rint(part)) for part in parts)
