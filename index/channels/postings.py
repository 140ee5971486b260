"""Postings on disk: which rows hold a term and how strongly, memory-mapped."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from index.storage.arrays import ascends, ascends_within, open_array, write_array
from index.storage.checksums import CURE

_PART = 1 << 15  # entries
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

    def check(self) -> None:
        """Look at every number: compiled code reads and writes wherever they point.

        Takes two seconds for 300 million entries that are in memory, and as long as the disk
        for others.

        Raises:
            ValueError: a number cannot be where it is.
        """
        if not (ascends(self.terms, strictly=True) and _within(self.terms, self.columns)):
            raise ValueError(f"terms must rise from 0 on and stay below {self.columns}")
        if not ascends(self.indptr, strictly=True):
            raise ValueError("bounds of terms must rise: every term has entries")
        if not _within(self.holders, self.rows):
            raise ValueError(f"entries must be of rows 0 to {self.rows - 1}")
        if not ascends_within(self.holders, self.indptr):
            raise ValueError("the rows of a term must rise")
        with np.errstate(invalid="ignore"):
            for name, values in (("weights", self.weights), ("lengths", self.lengths)):
                if len(values) and not 0 <= values.min() <= values.max() < np.inf:
                    raise ValueError(f"{name} must be finite and not below 0")
            if len(self.weights) and self.weights.min() == 0:
                raise ValueError("weights must be above 0")

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
        holders, weights, indptr, rows = self.holders, self.weights, self.indptr, self.rows
        if keep is not None and not keep.all():  # before the matrix is turned: a few rows are light
            kept = np.flatnonzero(keep[holders])
            numbers = np.cumsum(keep) - 1
            holders, weights, rows = numbers[holders[kept]], weights[kept], int(keep.sum())
            indptr = np.searchsorted(kept, indptr)
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


def build_inverted(matrix: csr_matrix, folder: Path) -> None:
    """Write the postings of a matrix into a folder that exists; see `invert`."""
    write_postings(invert(matrix), folder)


def write_postings(postings: Postings, folder: Path) -> None:
    """Write postings into a folder that exists."""
    arrays: dict[str, NDArray[Any]] = {
        "terms": postings.terms,
        "indptr": postings.indptr,
        "rows": postings.holders,
        "weights": postings.weights,
        "lengths": postings.lengths,
        "columns": np.array([postings.columns]),
    }
    for name, dtype in _DTYPES.items():
        write_array(folder / f"{name}.npy", arrays[name].astype(dtype, copy=False))


def invert(matrix: csr_matrix) -> Postings:
    """Return a matrix by columns.

    Args:
        matrix: (rows, columns) float32, positive entries; memory is taken by entries, never by
            columns, of which there may be 2**62.

    Raises:
        ValueError: an entry is not positive and finite, or there are 2**31 rows or more.
    """
    if matrix.shape[0] >= 2**31:
        raise ValueError(f"a segment holds fewer than 2**31 rows; got {matrix.shape[0]}")
    data = np.asarray(matrix.data, np.float32)
    if len(data) and not (data.min() > 0 and np.isfinite(data).all()):
        raise ValueError("weights of postings must be positive and finite; drop zeros first")
    # The terms of a part at a time, which a cache has room for: half the time of all at once.
    parts = [_terms_of(matrix.indices[at : at + _PART]) for at in range(0, matrix.nnz, _PART)]
    terms = np.unique(np.concatenate([np.zeros(0, np.int64), *(part for part, _ in parts)]))
    places = (np.searchsorted(terms, part).astype(np.int32)[which] for part, which in parts)
    numbers = np.concatenate([np.zeros(0, np.int32), *places])
    shape = (matrix.shape[0], len(terms))
    numbered = csr_matrix((data, numbers, matrix.indptr), shape=shape)
    return invert_numbered(numbered, terms.astype(np.int64, copy=False), matrix.shape[1])


def invert_numbered(matrix: csr_matrix, terms: NDArray[np.int64], columns: int) -> Postings:
    """Return a matrix by columns, of one whose columns are numbers of these.

    Args:
        matrix: (rows, t) float32, positive entries.
        terms: (t,) columns by number, different ones, in any order; some may have no entries.
        columns: number of columns there can be.
    """
    used = np.flatnonzero(np.bincount(matrix.indices, minlength=len(terms)))
    order = used[np.argsort(terms[used])]
    ranks = np.zeros(len(terms), np.int32)
    ranks[order] = np.arange(len(order))
    shape = (matrix.shape[0], len(order))
    ranked = csr_matrix((matrix.data, ranks[matrix.indices], matrix.indptr), shape=shape)
    by_term = ranked.tocsc()
    by_term.sum_duplicates()
    return Postings(
        terms=terms[order],
        indptr=by_term.indptr.astype(np.int64, copy=False),
        holders=by_term.indices.astype(np.int32, copy=False),
        weights=by_term.data,
        lengths=np.asarray(matrix.sum(axis=1)).ravel().astype(np.float32, copy=False),
        columns=columns,
    )


def open_inverted(folder: Path, sound: bool = False) -> Postings:
    """Memory-map the postings that `write_postings` wrote.

    Args:
        folder: holds the files.
        sound: that the numbers are is known; they need not be looked at.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: a file is damaged or does not fit the others.
    """
    arrays = {
        name: open_array(folder / f"{name}.npy", dtype, (1 if name == "columns" else None,))
        for name, dtype in _DTYPES.items()
    }
    try:
        postings = Postings(
            terms=arrays["terms"],
            indptr=arrays["indptr"],
            holders=arrays["rows"],
            weights=arrays["weights"],
            lengths=arrays["lengths"],
            columns=int(arrays["columns"][0]),
        )
        if not sound:
            postings.check()
    except (ValueError, IndexError) as error:
        raise ValueError(
            f"{folder} is damaged: its files do not fit together: {error}; {CURE}"
        ) from error
    return postings


def _terms_of(columns: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.uint16]]:
    """Return the different ones of at most _PART columns, ascending, and which of them each is."""
    terms, which = np.unique(columns, return_inverse=True)
    return terms, which.astype(np.uint16)


def _within(numbers: NDArray[Any], end: int) -> bool:
    """Tell whether all are from 0 to end - 1."""
    return not len(numbers) or bool(0 <= numbers.min() and numbers.max() < end)
