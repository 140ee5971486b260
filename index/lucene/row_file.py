"""Rows of a sparse channel, kept by row beside a Lucene index, which keeps them by term only.

Lucene cannot give a row back without term vectors, which take 16 bytes an entry on scifact; packed
here it takes 2.5.
"""

import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, vstack

from embedder.files.durable import naming, open_new
from index.storage.arrays import ascends, open_array, write_array
from index.storage.checksums import CURE, open_own
from index.storage.layout import LUCENE_BLOCKS, LUCENE_ROWS, LUCENE_TERMS

_BLOCK = 256  # rows that are packed together


def write_rows(matrix: csr_matrix, folder: Path) -> None:
    """Write the rows of a matrix of whole numbers.

    Args:
        matrix: (rows, columns) with int32 entries above 0, columns rising within a row.
        folder: exists.
    """
    terms, local = np.unique(matrix.indices, return_inverse=True)
    bounds = [(0, 0)]
    with naming(folder / LUCENE_ROWS), open_new(folder / LUCENE_ROWS) as file:
        for start in range(0, matrix.shape[0], _BLOCK):
            indptr = matrix.indptr[start : start + _BLOCK + 1]
            own = slice(indptr[0], indptr[-1])
            steps = np.diff(local[own], prepend=0)
            firsts = indptr[:-1][np.diff(indptr) > 0]
            steps[firsts - indptr[0]] = local[firsts]  # the first of a row counts from 0
            numbers = np.concatenate([np.diff(indptr), steps, matrix.data[own]])
            packed = zlib.compress(_by_place(numbers.astype("<u4")))
            file.write(packed)
            bounds.append((bounds[-1][0] + len(packed), int(indptr[-1])))
    write_array(folder / LUCENE_TERMS, terms.astype(np.int64))
    write_array(folder / LUCENE_BLOCKS, np.array(bounds, np.int64))


@dataclass(frozen=True, slots=True, eq=False)
class RowFile:
    """Rows that `write_rows` wrote, read when asked for.

    Attributes:
        path: of the file with the blocks.
        rows: number of rows.
        terms: (t,) int64, ascending: columns that have entries.
        bounds: (blocks + 1, 2) int64: where each block begins in the file, and its first entry.
        packed: the file, read-only.
    """

    path: Path
    rows: int
    terms: NDArray[np.int64]
    bounds: NDArray[np.int64]
    packed: memoryview

    @staticmethod
    def open(folder: Path, rows: int) -> "RowFile":
        """Memory-map the file.

        Raises:
            FileNotFoundError: a file is missing.
            ValueError: a file is damaged.
        """
        blocks = -(-rows // _BLOCK)
        terms = open_array(folder / LUCENE_TERMS, np.int64, (None,))
        bounds = open_array(folder / LUCENE_BLOCKS, np.int64, (blocks + 1, 2))
        path = folder / LUCENE_ROWS
        packed = _map(path)
        starts = bounds[:, 0]
        if not ascends(starts, strictly=True) or starts[0] != 0 or starts[-1] != len(packed):
            raise ValueError(f"{path} is damaged: blocks must rise within the file; {CURE}")
        if not ascends(bounds[:, 1], strictly=False) or bounds[0, 1] != 0:
            raise ValueError(f"{path} is damaged: entries of blocks must not fall; {CURE}")
        if not ascends(terms, strictly=True) or (len(terms) and terms[0] < 0):
            raise ValueError(f"{folder / LUCENE_TERMS} is damaged: terms must rise; {CURE}")
        return RowFile(path, rows, terms, bounds, packed)

    def read(self, columns: int, start: int = 0, stop: int | None = None) -> csr_matrix:
        """Return the matrix of int32 numbers, or rows start to stop - 1 of it.

        Raises:
            ValueError: the file is damaged.
        """
        stop = self.rows if stop is None else stop
        first = start // _BLOCK
        blocks = [self._block(at, columns) for at in range(first, -(-stop // _BLOCK))]
        if not blocks:
            none = np.zeros(0, np.int64)
            blocks = [csr_matrix((none, none, np.zeros(1, np.int64)), shape=(0, columns))]
        matrix = csr_matrix(vstack(blocks, format="csr"))
        if (start, stop) == (0, self.rows):
            return matrix
        return csr_matrix(matrix[start - first * _BLOCK : stop - first * _BLOCK])

    def take(self, columns: int, rows: NDArray[np.int64]) -> csr_matrix:
        """Return some rows in the order given; reads the blocks that they lie in."""
        blocks, place = np.unique(rows // _BLOCK, return_inverse=True)
        if not len(blocks):
            return self.read(columns, 0, 0)
        matrix = vstack([self._block(at, columns) for at in blocks.tolist()], format="csr")
        return csr_matrix(matrix[place * _BLOCK + rows % _BLOCK])

    def _block(self, at: int, columns: int) -> csr_matrix:
        (start, first), (end, last) = self.bounds[at].tolist(), self.bounds[at + 1].tolist()
        rows, entries = min(_BLOCK, self.rows - at * _BLOCK), last - first
        size = 4 * (rows + 2 * entries)
        try:
            unpacked = zlib.decompressobj().decompress(self.packed[start:end], size + 1)
        except zlib.error as error:
            raise ValueError(f"{self.path} is damaged: {error}; {CURE}") from error
        if len(unpacked) != size:
            raise ValueError(
                f"{self.path} is damaged: {entries} entries of {rows} rows take {size} bytes, and "
                f"there are {len(unpacked)}; {CURE}"
            )
        numbers = _from_places(unpacked).astype(np.int64)
        lengths, steps, data = np.split(numbers, [rows, rows + entries])
        indptr = np.concatenate([[0], np.cumsum(lengths)])
        if indptr[-1] != entries:
            raise ValueError(f"{self.path} is damaged: rows must have all entries; {CURE}")
        local = _summed(steps, indptr)
        if entries and not (local.max() < len(self.terms) and 0 < data.min() <= data.max() < 2**31):
            raise ValueError(f"{self.path} is damaged: entries name terms that are not; {CURE}")
        parts = (data.astype(np.int32), self.terms[local], indptr)
        return csr_matrix(parts, shape=(rows, columns))


def _map(path: Path) -> memoryview:
    import mmap

    with naming(path), open_own(path) as file:
        if not file.seek(0, 2):
            return memoryview(b"")
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def _by_place(numbers: NDArray[np.uint32]) -> bytes:
    """Return the lowest bytes of all numbers, then the next ones: most high ones are 0."""
    return np.ascontiguousarray(numbers.view(np.uint8).reshape(-1, 4).T).tobytes()


def _from_places(data: bytes) -> NDArray[np.uint32]:
    """Return what `_by_place` took apart."""
    places = np.frombuffer(data, np.uint8).reshape(4, -1)
    numbers: NDArray[np.uint32] = np.ascontiguousarray(places.T).view("<u4").ravel()
    return numbers


def _summed(steps: NDArray[np.int64], indptr: NDArray[np.int64]) -> NDArray[np.int64]:
    """Add up the steps of each row."""
    total = np.concatenate([[0], np.cumsum(steps)])
    summed: NDArray[np.int64] = total[1:] - np.repeat(total[indptr[:-1]], np.diff(indptr))
    return summed
