"""The terms of many texts: compiled code tells apart what stands between their white space."""

import os
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate, pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from embedder.compiled import compiled
from embedder.text.term_counts import VOCABULARY

_PART = 1 << 19  # bytes of texts that are cut at a time, and one for each; twice their pieces
_SLOTS = 1 << 20  # twice the pieces, so that a free one is near
_MOST = _SLOTS // 2 - _PART // 2  # pieces that are kept; a part may add as many as it can have
_ROOM = 1 << 25  # bytes of pieces
_MOST_TERMS = 1 << 20  # that are kept between texts
_PRIME = np.uint64(0x100000001B3)  # of the hash FNV-1a
_SHIFT = np.uint64(44)  # leaves the bits that number the slots
_NUMBER = np.uint64(_SLOTS - 1)

ColumnArray = NDArray[np.int64]


class _PieceTable(NamedTuple):
    """Different pieces, numbered from 0 as they came.

    Attributes:
        slots: (_SLOTS,) uint64: upper bits of a hash, and 1 + the number of its piece; 0 if free.
        ends: (pieces + 1,) int64: piece i is room[ends[i]:ends[i + 1]].
        room: (_ROOM,) uint8: the pieces one behind another.
    """

    slots: NDArray[np.uint64]
    ends: NDArray[np.int64]
    room: NDArray[np.uint8]


class CountedTerms(NamedTuple):
    """How often terms stand in texts.

    Attributes:
        terms: (entries,) int32 numbers of terms, each once a text.
        counts: (entries,) float32.
        bounds: (texts + 1,) int64 where the entries of each text begin and end.
    """

    terms: NDArray[np.int32]
    counts: NDArray[np.float32]
    bounds: NDArray[np.int64]


@compiled
def _find(table: _PieceTable, piece: NDArray[np.uint8], hashed: np.uint64, known: int) -> int:
    """Return the number of a piece; `known` if it is new, and then it has a place by now."""
    tag = hashed & ~_NUMBER
    slot = np.int64(hashed >> _SHIFT)  # which int() would leave unsigned
    while table.slots[slot] != 0:
        if table.slots[slot] & ~_NUMBER == tag:
            number = np.int64(table.slots[slot] & _NUMBER) - 1
            start = table.ends[number]
            if table.ends[number + 1] - start == len(piece):
                at = 0
                while at < len(piece) and table.room[start + at] == piece[at]:
                    at += 1
                if at == len(piece):
                    return int(number)
        slot = (slot + 1) % _SLOTS
    table.slots[slot] = tag | np.uint64(known + 1)
    start = table.ends[known]
    for at in range(len(piece)):
        table.room[start + at] = piece[at]
    table.ends[known + 1] = start + len(piece)
    return known


@compiled
def _number_pieces(
    table: _PieceTable,
    data: NDArray[np.uint8],
    bounds: ColumnArray,
    seed: np.uint64,
    numbers: ColumnArray,
) -> int:
    """Write the numbers of the pieces of texts, and over `bounds` how many there are up to each.

    Args:
        table: takes in new pieces.
        data: the texts in UTF-8, one behind another.
        bounds: (texts + 1,) where each begins and ends.
        seed: of hashes.
        numbers: one more than there can be pieces; the last is how many were known before.

    Returns:
        How many pieces are known by now.
    """
    known, found, first = int(numbers[-1]), 0, 0
    for text in range(len(bounds) - 1):
        last = bounds[text + 1]
        start, hashed = first, seed
        for at in range(first, last + 1):
            if at == last or data[at] == 32 or 9 <= data[at] <= 13:
                if start < at:
                    mixed = hashed * _PRIME ^ hashed >> _SHIFT
                    number = _find(table, data[start:at], mixed, known)
                    known += number == known
                    numbers[found] = number
                    found += 1
                start, hashed = at + 1, seed
            else:
                hashed = (hashed ^ np.uint64(data[at])) * _PRIME
        first = last
        bounds[text + 1] = found
    return known


@compiled
def _count_terms(
    numbers: ColumnArray,
    bounds: ColumnArray,
    terms: NDArray[np.int32],
    ends: ColumnArray,
    places: ColumnArray,
    before: int,
) -> tuple[NDArray[np.int32], NDArray[np.float32], int]:
    """Count the terms of texts, and write over `bounds` how many entries there are up to each.

    Args:
        numbers: of the pieces of texts, one behind another.
        bounds: (texts + 1,) where those of each text begin and end.
        terms: of the pieces: those of piece i are terms[ends[i]:ends[i + 1]].
        ends: see there.
        places: (terms,) the last entry of each term, counted from the first text ever; below
            `before` where it has none in these texts.
        before: how many entries there were before these texts.

    Returns:
        Term and count of each entry, with room for more, and how many there are.
    """
    most = 0
    for number in numbers:
        most += ends[number + 1] - ends[number]
    entry_terms, counts = np.empty(most, np.int32), np.empty(most, np.float32)
    count, first_piece = 0, 0
    for text in range(len(bounds) - 1):
        first_entry = count
        for at in range(first_piece, bounds[text + 1]):
            for slot in range(ends[numbers[at]], ends[numbers[at] + 1]):
                term = terms[slot]
                place = places[term] - before
                if place < first_entry:
                    place = count
                    places[term] = place + before
                    entry_terms[place] = term
                    counts[place] = 0
                    count += 1
                counts[place] += 1
        first_piece = bounds[text + 1]
        bounds[text + 1] = count
    return entry_terms, counts, count


class PieceCounts:
    """Counts the terms of texts by those of their pieces, each of which is asked for once.

    Terms are numbered from 0 as they come. Hashes are seeded by chance, so that nobody can write
    texts whose pieces all have the same; what is returned does not depend on it.

    Args:
        columns_of: returns the columns of the terms of a piece; nothing joins over white space.
    """

    def __init__(self, columns_of: Callable[[str], Iterable[int]]) -> None:
        self._columns_of = columns_of
        self._seed = np.uint64(int.from_bytes(os.urandom(8)))
        self.forget()

    @property
    def columns(self) -> ColumnArray:
        """The columns of the terms so far, by number: (terms,) int64."""
        return np.array(self._columns)

    def forget(self) -> None:
        """Forget all pieces and terms; these get other numbers from now on."""
        self._numbers: dict[int, int] = {}  # column -> number
        self._columns = array("q")
        self._places = np.zeros(0, np.int64)
        self._entries = 0
        self._forget_pieces()

    def make_room(self) -> None:
        """Forget all where it is much."""
        if len(self._columns) > _MOST_TERMS:
            self.forget()

    def _forget_pieces(self) -> None:
        self._table = _PieceTable(
            np.zeros(_SLOTS, np.uint64),
            np.zeros(_SLOTS // 2 + 1, np.int64),
            np.empty(_ROOM, np.uint8),
        )
        self._terms, self._ends = array("i"), array("q", [0])

    def rows(self, texts: Sequence[bytes]) -> csr_matrix:
        """Count the terms of texts, which are UTF-8: (len(texts), VOCABULARY) float32."""
        self.make_room()
        counted = self.count(texts)
        columns = self.columns[counted.terms]
        rows = csr_matrix((counted.counts, columns, counted.bounds), (len(texts), VOCABULARY))
        rows.sum_duplicates()  # there are none, but this sorts them
        return rows

    def count(self, texts: Sequence[bytes]) -> CountedTerms:
        """Count the terms of texts, which are UTF-8."""
        parts = [self._part(part) for part in _parts(texts)]
        sizes = [np.zeros(1, np.int64), *(np.diff(part.bounds) for part in parts)]
        return CountedTerms(
            np.concatenate([np.zeros(0, np.int32), *(part.terms for part in parts)]),
            np.concatenate([np.zeros(0, np.float32), *(part.counts for part in parts)]),
            np.cumsum(np.concatenate(sizes)),
        )

    def _part(self, texts: Sequence[bytes]) -> CountedTerms:
        if len(texts) == 1 and len(texts[0]) >= _PART:
            return self._long(texts[0])
        known = len(self._ends) - 1
        if known > _MOST or self._table.ends[known] > _ROOM - _PART:
            self._forget_pieces()
            known = 0
        bounds = np.fromiter(accumulate(map(len, texts), initial=0), np.int64)
        numbers = np.empty((bounds[-1] + len(texts)) // 2 + 1, np.int64)
        numbers[-1] = known
        data = np.frombuffer(b"".join(texts), np.uint8)
        now = _number_pieces(self._table, data, bounds, self._seed, numbers)
        self._learn(known, now)
        return self._count(numbers[: bounds[-1]], bounds)

    def _learn(self, first: int, end: int) -> None:
        """Ask for the columns of new pieces."""
        ends = self._table.ends[first : end + 1].tolist()
        room = self._table.room[ends[0] : ends[-1]].tobytes()
        for start, stop in pairwise(ends):
            piece = room[start - ends[0] : stop - ends[0]].decode("utf-8", "surrogatepass")
            self._terms.extend(map(self._number, self._columns_of(piece)))
            self._ends.append(len(self._terms))
        if len(self._places) < len(self._columns):
            more = np.full(2 * len(self._columns) - len(self._places), -1)
            self._places = np.concatenate((self._places, more))

    def _number(self, column: int) -> int:
        number = self._numbers.setdefault(column, len(self._columns))
        if number == len(self._columns):
            self._columns.append(column)
        return number

    def _count(self, numbers: ColumnArray, bounds: ColumnArray) -> CountedTerms:
        pieces = np.frombuffer(self._terms, np.int32), np.frombuffer(self._ends, np.int64)
        terms, counts, count = _count_terms(numbers, bounds, *pieces, self._places, self._entries)
        self._entries += count
        return CountedTerms(terms[:count], counts[:count], bounds)

    def _long(self, text: bytes) -> CountedTerms:
        """Count the terms of a text that does not fit into a part."""
        counts: Counter[int] = Counter()
        for piece, count in Counter(text.decode("utf-8", "surrogatepass").split()).items():
            for column in self._columns_of(piece):
                counts[self._number(column)] += count
        return CountedTerms(
            np.fromiter(counts.keys(), np.int32, len(counts)),
            np.fromiter(counts.values(), np.float32, len(counts)),
            np.array([0, len(counts)]),
        )


def _parts(texts: Sequence[bytes]) -> Iterator[list[bytes]]:
    """Yield as many texts at a time as fit into a part, or a longer one.

    A part has a byte more for each text, since pieces have one between them.
    """
    part: list[bytes] = []
    size = 0
    for text in texts:
        if part and size + len(text) + 1 > _PART:
            yield part
            part, size = [], 0
        part.append(text)
        size += len(text) + 1
    if part:
        yield part
