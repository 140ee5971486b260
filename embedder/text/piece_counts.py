"""The terms of many texts: compiled code tells apart what stands between their white space."""

import os
from array import array
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate, pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from embedder.compiled import compiled

LONGEST_TEXT = (1 << 17) - 1  # characters; its UTF-8 fits into a part
_PART = 1 << 19  # bytes of texts that are cut at a time, and one for each; twice their pieces
_SLOTS = 1 << 20  # twice the pieces, so that a free one is near
_MOST = _SLOTS // 2 - _PART // 2  # pieces that are kept; a part may add as many as it can have
_ROOM = 1 << 25  # bytes of pieces
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


class PieceCounts:
    """Finds the columns of texts by those of their pieces, each of which is asked for once.

    Hashes are seeded by chance, so that nobody can write texts whose pieces all have the same;
    what is returned does not depend on it.

    Args:
        columns_of: returns the columns of a piece; nothing joins over white space.
    """

    def __init__(self, columns_of: Callable[[str], Sequence[int]]) -> None:
        self._columns_of = columns_of
        self._seed = np.uint64(int.from_bytes(os.urandom(8)))
        self._clear()

    def columns(self, texts: Sequence[str]) -> tuple[ColumnArray, ColumnArray]:
        """Return the columns of texts: all of them, and where those of each begin and end.

        Args:
            texts: none of more than LONGEST_TEXT characters.
        """
        parts = [self._part(part) for part in _parts(texts)]
        columns = np.concatenate([np.zeros(0, np.int64), *(part for part, _ in parts)])
        sizes = [np.zeros(1, np.int64), *(np.diff(bounds) for _, bounds in parts)]
        return columns, np.cumsum(np.concatenate(sizes))

    def _clear(self) -> None:
        self._table = _PieceTable(
            np.zeros(_SLOTS, np.uint64),
            np.zeros(_SLOTS // 2 + 1, np.int64),
            np.empty(_ROOM, np.uint8),
        )
        self._columns, self._ends = array("q"), array("q", [0])

    def _part(self, texts: Sequence[bytes]) -> tuple[ColumnArray, ColumnArray]:
        known = len(self._ends) - 1
        if known > _MOST or self._table.ends[known] > _ROOM - _PART:
            self._clear()
            known = 0
        bounds = np.fromiter(accumulate(map(len, texts), initial=0), np.int64)
        numbers = np.empty((bounds[-1] + len(texts)) // 2 + 1, np.int64)
        numbers[-1] = known
        data = np.frombuffer(b"".join(texts), np.uint8)
        now = _number_pieces(self._table, data, bounds, self._seed, numbers)
        self._learn(known, now)
        ends, numbers = np.frombuffer(self._ends, np.int64), numbers[: bounds[-1]]
        sizes = ends[numbers + 1] - ends[numbers]
        before = np.concatenate(([0], np.cumsum(sizes)))
        at = np.arange(before[-1]) + np.repeat(ends[numbers] - before[:-1], sizes)
        return np.frombuffer(self._columns, np.int64)[at], before[bounds]

    def _learn(self, first: int, end: int) -> None:
        """Ask for the columns of new pieces."""
        for start, stop in pairwise(self._table.ends[first : end + 1].tolist()):
            piece = self._table.room[start:stop].tobytes().decode("utf-8", "surrogatepass")
            self._columns.extend(self._columns_of(piece))
            self._ends.append(len(self._columns))


def _parts(texts: Sequence[str]) -> Iterator[list[bytes]]:
    """Yield texts in UTF-8, as many at a time as fit into a part: pieces have a byte between."""
    part: list[bytes] = []
    size = 0
    for text in texts:
        data = text.encode("utf-8", "surrogatepass")
        if size + len(data) + 1 > _PART:
            yield part
            part, size = [], 0
        part.append(data)
        size += len(data) + 1
    yield part
