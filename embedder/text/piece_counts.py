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
from embedder.text.term_counts import CountedTerms

_PART = 1 << 19  # bytes of texts that are cut at a time, and one for each; twice their pieces
_SLOTS = 1 << 20  # twice the pieces, so that a free one is near
_MOST = _SLOTS // 2 - _PART // 2  # pieces that are kept; a part may add as many as it can have
_ROOM = 1 << 25  # bytes of pieces
_MOST_TERMS = 1 << 20  # that are kept between texts
_PRIME = np.uint64(0x100000001B3)  # of the hash FNV-1a
_SHIFT = np.uint64(44)  # leaves the bits that number the slots
_SLOT = np.uint64(_SLOTS - 1)
_NONE, _ONE = np.uint64(0), np.uint64(1)
_SPACE = np.uint8(32)

Number = np.uint64  # of compiled code, which asks of signed ones whether they count from the end
Numbers = NDArray[np.uint64]
Bytes = NDArray[np.uint8]


class _PieceTable(NamedTuple):
    """Different pieces, numbered from 0 as they came.

    Attributes:
        slots: (_SLOTS,) uint64: upper bits of a hash, and 1 + the number of its piece; 0 if free.
        ends: (pieces + 1,) uint64: piece i is room[ends[i]:ends[i + 1]].
        room: (_ROOM,) uint8: the pieces one behind another.
    """

    slots: Numbers
    ends: Numbers
    room: Bytes


class _PieceTerms(NamedTuple):
    """The terms of pieces.

    Attributes:
        terms: uint32 numbers of terms, those of one piece behind those of another.
        ends: (pieces + 1,) uint64: the terms of piece i are terms[ends[i]:ends[i + 1]].
    """

    terms: NDArray[np.uint32]
    ends: Numbers


@compiled
def _find(
    table: _PieceTable, data: Bytes, place: tuple[Number, Number], hashed: Number, known: Number
) -> Number:
    """Return the number of a piece; `known` if it is new, and then it has a place by now.

    Args:
        table: that it is looked for in.
        data: that it is in.
        place: where it starts, and its size.
        hashed: its hash.
        known: how many pieces there are.
    """
    start, size = place
    tag, slot = hashed & ~_SLOT, hashed >> _SHIFT
    while table.slots[slot] != 0:
        if table.slots[slot] & ~_SLOT == tag:
            number: Number = (table.slots[slot] & _SLOT) - _ONE
            first, at = table.ends[number], _NONE
            if table.ends[number + _ONE] - first == size:
                while at < size and table.room[first + at] == data[start + at]:
                    at += _ONE
                if at == size:
                    return number
        slot = (slot + _ONE) & _SLOT
    table.slots[slot] = tag | (known + _ONE)
    first, at = table.ends[known], _NONE
    while at < size:
        table.room[first + at] = data[start + at]
        at += _ONE
    table.ends[known + _ONE] = first + size
    return known


@compiled
def _number_pieces(
    table: _PieceTable, data: Bytes, bounds: Numbers, seed: Number, numbers: Numbers
) -> Number:
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
    known: Number = numbers[-1]
    count, at = _NONE, _NONE
    for text in range(1, len(bounds)):
        last = bounds[text]
        start, hashed = at, seed
        while at <= last:
            byte = data[at] if at < last else _SPACE
            if byte == _SPACE or 9 <= byte <= 13:
                if start < at:
                    mixed = hashed * _PRIME ^ hashed >> _SHIFT
                    number = _find(table, data, (start, at - start), mixed, known)
                    if number == known:
                        known += _ONE
                    numbers[count] = number
                    count += _ONE
                start, hashed = at + _ONE, seed
            else:
                hashed = (hashed ^ np.uint64(byte)) * _PRIME
            at += _ONE
        at = last
        bounds[text] = count
    return known


@compiled
def _count_terms(
    numbers: Numbers, bounds: Numbers, pieces: _PieceTerms, places: NDArray[np.int64], before: int
) -> tuple[NDArray[np.uint32], NDArray[np.float32], int]:
    """Count the terms of texts, and write over `bounds` how many entries there are up to each.

    Args:
        numbers: of the pieces of texts, one behind another.
        bounds: (texts + 1,) where those of each text begin and end.
        pieces: their terms.
        places: (terms,) the last entry of each term, counted from the first text ever; below
            `before` where it has none in these texts.
        before: how many entries there were before these texts.

    Returns:
        Term and count of each entry, with room for more, and how many there are.
    """
    most = _NONE
    for number in numbers:
        most += pieces.ends[number + _ONE] - pieces.ends[number]
    terms, counts = np.empty(most, np.uint32), np.empty(most, np.float32)
    count, at = 0, _NONE
    for text in range(1, len(bounds)):
        first = count
        while at < bounds[text]:
            slot, end = pieces.ends[numbers[at]], pieces.ends[numbers[at] + _ONE]
            while slot < end:
                term = pieces.terms[slot]
                place = places[term] - before
                if place < first:
                    place = count
                    places[term] = place + before
                    terms[place] = term
                    counts[place] = 0
                    count += 1
                counts[place] += 1
                slot += _ONE
            at += _ONE
        bounds[text] = count
    return terms, counts, count


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
    def columns(self) -> NDArray[np.int64]:
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
            np.zeros(_SLOTS // 2 + 1, np.uint64),
            np.empty(_ROOM, np.uint8),
        )
        self._terms, self._ends = array("I"), array("Q", [0])

    def rows(self, texts: Sequence[bytes]) -> csr_matrix:
        """Count the terms of texts, which are UTF-8: (len(texts), VOCABULARY) float32."""
        self.make_room()
        counted = self.count(texts)
        return counted.rows(self.columns)

    def count(self, texts: Sequence[bytes]) -> CountedTerms:
        """Count the terms of texts, which are UTF-8."""
        return CountedTerms.joined(map(self._part, _parts(texts)))

    def _part(self, texts: Sequence[bytes]) -> CountedTerms:
        if len(texts) == 1 and len(texts[0]) >= _PART:
            return self._long(texts[0])
        known = len(self._ends) - 1
        if known > _MOST or self._table.ends[known] > _ROOM - _PART:
            self._forget_pieces()
            known = 0
        data = b"".join(texts)
        bounds = np.fromiter(accumulate(map(len, texts), initial=0), np.uint64)
        numbers = np.empty((len(data) + len(texts)) // 2 + 1, np.uint64)
        numbers[-1] = known
        read = np.frombuffer(data, np.uint8), bounds, self._seed, numbers
        self._learn(known, int(_number_pieces(self._table, *read)))
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

    def _count(self, numbers: Numbers, bounds: Numbers) -> CountedTerms:
        terms, ends = np.frombuffer(self._terms, np.uint32), np.frombuffer(self._ends, np.uint64)
        pieces = _PieceTerms(terms, ends)
        entries = _count_terms(numbers, bounds, pieces, self._places, self._entries)
        self._entries += entries[2]
        return CountedTerms(entries[0][: entries[2]], entries[1][: entries[2]], bounds)

    def _long(self, text: bytes) -> CountedTerms:
        """Count the terms of a text that does not fit into a part."""
        counts: Counter[int] = Counter()
        for piece, count in Counter(text.decode("utf-8", "surrogatepass").split()).items():
            for column in self._columns_of(piece):
                counts[self._number(column)] += count
        return CountedTerms(
            np.fromiter(counts.keys(), np.uint32, len(counts)),
            np.fromiter(counts.values(), np.float32, len(counts)),
            np.array([0, len(counts)], np.uint64),
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
