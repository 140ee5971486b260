"""The few messages of CIFF in the encoding of Protocol Buffers: numbers in sevens of bits.

The encoding is that of protobuf.dev/programming-guides/encoding; lists of postings, which are
nearly all of a file, are coded as arrays.
"""

import struct
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

Field = int | bytes | float
_NUMBER, _DOUBLE, _BYTES = 0, 1, 2  # how a value is written
_LONGEST = 1 << 31  # bytes of a message, as protobuf itself has it
_PIECE = 1 << 20
_POSTING, _GAP, _COUNT = 0x22, 0x08, 0x10  # field 4 of a list; fields 1 and 2 of a posting


def number(value: int) -> bytes:
    """Return a number from 0 to 2**63 - 1 in sevens of bits, the lowest first."""
    coded = bytearray()
    while value > 127:
        coded.append(value & 127 | 128)
        value >>= 7
    coded.append(value)
    return bytes(coded)


def message(*fields: tuple[int, int | str | float]) -> bytes:
    """Return a message of (number of the field, value); 0 and "" are left out, as in proto3."""
    coded = bytearray()
    for field, value in fields:
        if not value:
            continue
        if isinstance(value, str):
            data = value.encode()
            coded += number(field << 3 | _BYTES) + number(len(data)) + data
        elif isinstance(value, float):
            coded += number(field << 3 | _DOUBLE) + struct.pack("<d", value)
        else:
            coded += number(field << 3 | _NUMBER) + number(value)
    return bytes(coded)


def postings(gaps: NDArray[np.int64], counts: NDArray[np.int64]) -> bytes:
    """Return postings as field 4 of a list: differences of documents, and counts above 0."""
    gap_sizes, count_sizes = _sizes(gaps), _sizes(counts)
    gap_sizes[gaps == 0] = -1  # proto3 leaves zeros out, with their tag
    bodies = 2 + gap_sizes + count_sizes
    ends = np.cumsum(2 + bodies)
    data = np.zeros(int(ends[-1]) if len(ends) else 0, np.uint8)
    at = ends - bodies - 2
    data[at], data[at + 1] = _POSTING, bodies
    there = gaps > 0
    data[at[there] + 2] = _GAP
    _put(data, at[there] + 3, gaps[there], gap_sizes[there])
    at = ends - count_sizes - 1
    data[at] = _COUNT
    _put(data, at + 1, counts, count_sizes)
    return data.tobytes()


def _sizes(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return how many bytes each number takes."""
    limits = np.array([1 << 7 * bits for bits in range(1, 9)])
    return np.searchsorted(limits, values, side="right") + 1


def _put(
    data: NDArray[np.uint8],
    at: NDArray[np.int64],
    values: NDArray[np.int64],
    sizes: NDArray[np.int64],
) -> None:
    for place in range(int(sizes.max(initial=0))):
        here = sizes > place
        more = np.where(sizes[here] > place + 1, 128, 0)
        data[at[here] + place] = values[here] >> 7 * place & 127 | more


class MessageReader:
    """Reads messages one after another, each with its length before it.

    Attributes:
        read: number of messages so far.

    Raises:
        ValueError: the file ends within a message, or a length is out of all reason.
    """

    def __init__(self, file: BinaryIO, place: str) -> None:
        self._file = file
        self._place = place
        self.read = 0

    def next(self) -> bytes:
        """Return the next message."""
        self.read += 1
        length = shift = 0
        while True:
            byte = self._file.read(1)
            if not byte or shift > 28:
                raise self.damage("it ends, or a length is wrong")
            length |= (byte[0] & 127) << shift
            shift += 7
            if byte[0] < 128:
                break
        if length >= _LONGEST:
            raise self.damage(f"it would have {length} bytes")
        parts, left = [], length
        while left:  # what is claimed is not allocated before it is there
            part = self._file.read(min(left, _PIECE))
            if not part:
                raise self.damage(f"it has {length} bytes, of which {left} are missing")
            parts.append(part)
            left -= len(part)
        return b"".join(parts)

    def finish(self) -> None:
        """Refuse what comes behind the last message."""
        if self._file.read(1):
            self.read += 1
            raise self.damage("there should be none: more follows than the header says")

    def damage(self, reason: str) -> ValueError:
        """Return an error that names the message that was read last."""
        return ValueError(f"{self._place}: message {self.read}: {reason}")


def fields(data: bytes) -> Iterator[tuple[int, Field, int]]:
    """Yield (number, value, where the field begins) of every field of a message.

    Raises:
        ValueError: it is none.
    """
    at = 0
    while at < len(data):
        start = at
        tag, at = _read_number(data, at)
        kind = tag & 7
        if kind == _NUMBER:
            value: Field
            value, at = _read_number(data, at)
        elif kind == _BYTES:
            size, at = _read_number(data, at)
            value, at = data[at : at + size], at + size
        elif kind in (_DOUBLE, 5):
            size = 8 if kind == _DOUBLE else 4
            raw, at = data[at : at + size], at + size
            value = struct.unpack("<d" if size == 8 else "<f", raw)[0] if len(raw) == size else 0.0
        else:
            raise ValueError(f"a field is written in a way ({kind}) that there is not")
        if at > len(data):
            raise ValueError("a field goes beyond its message")
        yield tag >> 3, value, start


def _read_number(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise ValueError("a number goes beyond its message, or has more than 64 bits")
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at


def read_postings(data: bytes) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return gaps and counts of postings, which are field 4 of a list, again and again.

    Raises:
        ValueError: something else stands there.
    """
    values, sizes = _all_numbers(data)
    first = 4 if len(values) > 2 and values[2] == _COUNT else 0  # document 0 has no gap
    rest, rest_sizes = values[first:], sizes[first:]
    regular = (
        len(values) > 0
        and len(rest) % 6 == 0
        and all(
            np.array_equal(rest[place::6], np.full(len(rest) // 6, tag))
            for place, tag in ((0, _POSTING), (2, _GAP), (4, _COUNT))
        )
    )
    fits = regular and np.array_equal(rest[1::6], 2 + rest_sizes[3::6] + rest_sizes[5::6])
    if fits and first and (values[0] != _POSTING or values[1] != 1 + sizes[3]):
        fits = False
    if not fits:
        return _read_slowly(data)
    gaps, counts = rest[3::6], rest[5::6]
    if first:
        gaps, counts = np.append(0, gaps), np.append(values[3], counts)
    return gaps, counts


def _all_numbers(data: bytes) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Read bytes as nothing but numbers; return them with their sizes, none where that fails."""
    raw = np.frombuffer(data, np.uint8)
    ends = np.flatnonzero(raw < 128)
    none = np.zeros(0, np.int64)
    if not len(raw) or not len(ends) or ends[-1] != len(raw) - 1:
        return none, none
    starts = np.concatenate(([0], ends[:-1] + 1))
    sizes = ends - starts + 1
    if sizes.max() > 8:
        return none, none
    values = np.zeros(len(ends), np.int64)
    for place in range(int(sizes.max())):
        here = sizes > place
        values[here] |= (raw[starts[here] + place] & 127).astype(np.int64) << 7 * place
    return values, sizes


def _read_slowly(data: bytes) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    gaps, counts = [], []
    for field, value, _ in fields(data):
        if field != 4:
            continue
        if not isinstance(value, bytes):
            raise ValueError("a posting is no message")
        parts = {number: part for number, part, _ in fields(value)}
        pair = parts.get(1, 0), parts.get(2, 0)
        if not all(isinstance(part, int) and part < 2**31 for part in pair):
            raise ValueError("a posting has a document and a count from 0 to 2**31 - 1")
        gaps.append(pair[0])
        counts.append(pair[1])
    return np.array(gaps, np.int64), np.array(counts, np.int64)
