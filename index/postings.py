"""Postings on disk: which rows hold a term and how strongly, memory-mapped."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

_DTYPES = {
    "terms": np.int64,
    "indptr": np.int64,
    "rows": np.int32,
    "weights": np.float32,
    "lengths": np.float32,
    "columns": np.int64,
}


@dataclass(frozen=True, slots=True, eq=False)
class Postings:
    """A sparse matrix by columns; columns without entries take no space.

    Attributes:
        terms: (t,) int64, ascending: columns that have entries.
        indptr: (t + 1,) int64: the entries of terms[i] are indptr[i] to indptr[i + 1].
        holders: (entries,) int32: row of each entry, ascending within a term.
        weights: (entries,) float32, positive.
        lengths: (rows,) float32: sum of the weights of each row.
        columns: number of columns of the matrix.
    """

    terms: NDArray[np.int64]
    indptr: NDArray[np.int64]
    holders: NDArray[np.int32]
    weights: NDArray[np.float32]
    lengths: NDArray[np.float32]
    columns: int

    def __post_init__(self) -> None:
        terms, entries = len(self.terms), len(self.holders)
        if len(self.indptr) != terms + 1 or self.indptr[0] != 0 or self.indptr[-1] != entries:
            raise ValueError(
                f"{terms} terms and {entries} entries need {terms + 1} bounds from 0 to {entries}; "
                f"got {len(self.indptr)}"
            )
        if len(self.weights) != entries:
            raise ValueError(f"{entries} entries need as many weights; got {len(self.weights)}")

    @property
    def rows(self) -> int:
        """Number of rows, deleted and empty ones included."""
        return len(self.lengths)

    def document_frequency(self, live: NDArray[np.bool_] | None = None) -> NDArray[np.int64]:
        """Return in how many (live) rows each term stands: (t,) int64."""
        if live is None:
            return np.diff(self.indptr)
        if not len(self.terms):
            return np.zeros(0, np.int64)
        return np.add.reduceat(live[self.holders], self.indptr[:-1], dtype=np.int64)

    def to_csr(self, keep: NDArray[np.bool_] | None = None) -> csr_matrix:
        """Return the matrix that was built from, cut to the rows that are True in `keep`."""
        shape = (self.rows, max(len(self.terms), 1))
        indptr = self.indptr if len(self.terms) else np.zeros(2, np.int64)
        compact = csr_matrix(csr_matrix((self.weights, self.holders, indptr), shape=shape[::-1]).T)
        if keep is not None:
            compact = compact[keep]
        columns = self.terms[compact.indices]
        return csr_matrix(
            (compact.data, columns, compact.indptr), shape=(compact.shape[0], self.columns)
        )


def build_inverted(matrix: csr_matrix, folder: Path) -> list[str]:
    """Write the postings of a matrix into a folder; return the names of the files.

    Args:
        matrix: (rows, columns) float32, positive entries; memory is taken by entries, never by
            columns, of which there may be 2**62.
        folder: exists.

    Raises:
        ValueError: an entry is not positive and finite, or there are 2**31 rows or more.
    """
    if matrix.shape[0] >= 2**31:
        raise ValueError(f"a segment holds fewer than 2**31 rows; got {matrix.shape[0]}")
    data = np.asarray(matrix.data, np.float32)
    if len(data) and not (data.min() > 0 and np.isfinite(data).all()):
        raise ValueError("weights of postings must be positive and finite; drop zeros first")
    terms, compact = np.unique(matrix.indices, return_inverse=True)
    shape = (matrix.shape[0], len(terms))
    by_term = csr_matrix((data, compact, matrix.indptr), shape=shape).tocsc()
    by_term.sum_duplicates()
    arrays: dict[str, NDArray[Any]] = {
        "terms": terms,
        "indptr": by_term.indptr,
        "rows": by_term.indices,
        "weights": by_term.data,
        "lengths": np.asarray(matrix.sum(axis=1)).ravel(),
        "columns": np.array([matrix.shape[1]]),
    }
    for name, dtype in _DTYPES.items():
        np.save(folder / f"{name}.npy", arrays[name].astype(dtype, copy=False), allow_pickle=False)
    return [f"{name}.npy" for name in _DTYPES]


def open_inverted(folder: Path) -> Postings:
    """Memory-map the postings that `build_inverted` wrote.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: a file is damaged or does not fit the others.
    """
    arrays = {name: _load(folder / f"{name}.npy", np.dtype(_DTYPES[name])) for name in _DTYPES}
    try:
        return Postings(
            terms=arrays["terms"],
            indptr=arrays["indptr"],
            holders=arrays["rows"],
            weights=arrays["weights"],
            lengths=arrays["lengths"],
            columns=int(arrays["columns"][0]),
        )
    except (ValueError, IndexError) as error:
        raise ValueError(f"{folder}: files do not fit together: {error}; build it again") from error


def _load(path: Path, dtype: np.dtype[Any]) -> NDArray[Any]:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise ValueError(f"{path} is damaged: {error}; build the index again") from error
    if array.ndim != 1 or array.dtype != dtype:
        raise ValueError(f"{path}: expected 1-d {dtype}, got {array.ndim}-d {array.dtype}")
    return np.asarray(array)
