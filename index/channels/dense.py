"""Dense rows on disk and their search: brute force, or FAISS by factory string."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embedder.types import Representation
from index.base import NO_ROW, Hits
from index.channels.exact.int8_codes import Int8Codes, open_codes, write_codes
from index.channels.exact.row_scores import (
    Float16Scores,
    Float32Scores,
    Int8Scores,
    RowChoice,
    RowScores,
)
from index.channels.exact.scan import all_scores, exact_products, near_rows, queries_at_once
from index.channels.faiss_file import FaissFile
from index.storage.arrays import open_array, write_array, write_rows
from index.storage.checksums import CURE, FileRecord
from index.storage.layout import APPROXIMATE, SCALES, VECTORS, DenseDtype
from index.topk import BestRows, check_k, check_live, near_best

FLAT = "Flat"
_SCORES = 1 << 25  # scores held at a time: 128 MiB
_SMALL = 1 << 12  # live rows whose scores are looked at all at once
_FEW = 16  # rows for each that is wanted, of which a graph would look at as many
_THIN = 4  # copying some rows pays where they are less than this part of all
_WORTH_COMPILING = 1 << 28  # numbers that numpy widens in the time that numba takes to load
_BLOCK = 1 << 14  # rows that are narrowed at a time
_WIDENING = 8  # products in float64 in the time that copying a row into float64 takes


def dense_queries(queries: Representation, dim: int) -> NDArray[np.float32]:
    """Return the dense rows of queries for an index of `dim`-d vectors.

    Raises:
        ValueError: there are none, or they have another width or hold NaN.
    """
    if queries.dense is None:
        raise ValueError("a dense channel needs dense query rows; got sparse ones only")
    if queries.dense.shape[1] != dim:
        raise ValueError(f"index holds {dim}-d vectors; query has {queries.dense.shape[1]}-d")
    if not np.isfinite(queries.dense).all():
        raise ValueError("queries hold NaN or infinity; check the model and its dtype")
    return queries.dense


def build_dense(
    vectors: NDArray[np.float32], factory: str, folder: Path, dtype: DenseDtype = "float32"
) -> None:
    """Write vectors and, unless they are searched by brute force, their FAISS index.

    FAISS links a graph (HNSW) with several threads at once, so its file may differ from one
    build to the next; everything else is the same for the same input.

    Args:
        vectors: (n, dim) float32 unit rows; may be memory-mapped.
        factory: FAISS factory string; "Flat" is exact and needs no FAISS.
        folder: exists.
        dtype: float16 writes rounded rows, which are then what there is; int8 writes codes beside
            float32 rows, for searches to read first.

    Raises:
        ValueError: the vectors or the factory string are wrong, FAISS is not installed, or the
            factory needs more rows to train.
    """
    if vectors.ndim != 2 or vectors.dtype != np.float32:
        raise ValueError(f"vectors must be (n, dim) float32; got {vectors.shape} {vectors.dtype}")
    if factory != FLAT and len(vectors):
        from index.channels.approximate import build, write

        write(build(factory, vectors), folder / APPROXIMATE)
    if dtype == "float16":
        starts = range(0, len(vectors), _BLOCK)
        parts = (vectors[start : start + _BLOCK] for start in starts)
        write_rows(folder / VECTORS, np.float16, vectors.shape, parts)
        return
    write_array(folder / VECTORS, vectors)
    if dtype == "int8":
        write_codes(vectors, folder)


def open_dense(
    folder: Path,
    factory: str,
    shape: tuple[int | None, int | None] = (None, None),
    record: FileRecord | None = None,
    dtype: DenseDtype = "float32",
) -> "DenseChannel":
    """Memory-map what `build_dense` wrote; a FAISS index is read when first searched.

    Args:
        folder: holds the files.
        factory: FAISS factory string.
        shape: of the vectors, as far as it is known.
        record: what the file of FAISS must be. FAISS trusts what it reads with memory and
            process, so a file is compared with its checksum before.
        dtype: as the rows were written.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: the vectors are damaged.
    """
    stored = np.float16 if dtype == "float16" else np.float32
    vectors = open_array(folder / VECTORS, stored, shape)
    if factory == FLAT or not len(vectors):
        codes = open_codes(folder, vectors.shape) if dtype == "int8" else None
        return DenseChannel(vectors, folder, codes=codes)
    approximate = FaissFile(folder / APPROXIMATE, factory, vectors.shape, record)
    return DenseChannel(vectors, folder, approximate)


class DenseChannel:
    """Unit vectors of one segment; the score is the inner product.

    Whatever chooses the rows, matrix product or FAISS, their scores are computed from the vectors
    in float64 and rounded to float32: equal vectors score equal, a query alone scores as among
    others, and quantised storage costs recall but never the truth of a score. Where few rows are
    live, and for a query for which FAISS finds fewer than k rows, though there are more, brute
    force answers.

    Args:
        vectors: (n, dim) float32 or float16, usually memory-mapped.
        folder: of the files, to be named in errors.
        approximate: chooses rows; else brute force does.
        codes: read by brute force in place of vectors.
    """

    def __init__(
        self,
        vectors: NDArray[Any],
        folder: Path = Path(),
        approximate: FaissFile | None = None,
        codes: Int8Codes | None = None,
    ) -> None:
        self._vectors = vectors
        self._folder = folder
        self._approximate = approximate
        self._codes = codes
        self._scored = 0  # numbers of narrow rows, so far

    def close(self) -> None:
        """Close the FAISS file, which waits for the first search; arrays are left to memory."""
        if self._approximate is not None:
            self._approximate.close()

    @property
    def rows(self) -> int:
        """Number of rows, deleted ones included."""
        return len(self._vectors)

    def read(self, rows: RowChoice) -> NDArray[np.float32]:
        """Return some rows in the order given, as float32."""
        return np.asarray(self._vectors[rows], np.float32)

    @property
    def dim(self) -> int:
        """Width of a vector."""
        return int(self._vectors.shape[1])

    def search(
        self, queries: Representation, k: int, live: NDArray[np.bool_] | None = None
    ) -> Hits:
        """Return the k highest-scoring rows per query; ties go to the lower row.

        Raises:
            ValueError: queries have no dense rows, another width or NaN, k is below 1, live has
                another shape, or the FAISS file is damaged.
        """
        check_k(k)
        check_live(live, self.rows)
        collected = BestRows(len(queries), k)
        if not self.rows:
            return collected.hits()
        dense = dense_queries(queries, self.dim)
        open_queries = np.arange(len(dense))
        left = self.rows if live is None else int(live.sum())
        exactly = 2 * left < self.rows and left <= _FEW * k
        if self._approximate is not None and not exactly:
            open_queries = self._search_approximately(dense, collected, live)
        if left > _SMALL and not _cheaper_exactly(left, len(open_queries), k):
            open_queries = self._search_in_blocks(dense, open_queries, collected, live)
        block = max(1, _SCORES // self.rows)
        for start in range(0, len(open_queries), block):
            self._search_at_once(dense, open_queries[start : start + block], collected, live)
        return collected.hits()

    def _search_in_blocks(
        self,
        dense: NDArray[np.float32],
        chosen: NDArray[np.int64],
        collected: BestRows,
        live: NDArray[np.bool_] | None,
    ) -> NDArray[np.int64]:
        """Fill in rows of queries; return the queries that too many rows are near to."""
        k = collected.rows.shape[1]
        numbers = np.flatnonzero(live) if live is not None and _thin(live) else None
        left = self.rows if numbers is None else len(numbers)
        crowded = [np.zeros(0, np.int64)]
        at_once = queries_at_once(k)
        for start in range(0, len(chosen), at_once):
            part = chosen[start : start + at_once]
            scores = self._narrow_scores(dense[part], left)
            try:
                found = near_rows(scores, k, live, numbers)
            except FloatingPointError:
                raise self._damage(VECTORS if self._codes is None else SCALES) from None
            for query, near in zip(part, found.of_queries(), strict=True):
                rows = near if numbers is None else numbers[near]
                collected.fill(query, rows, self._score(rows, dense[query]))
            crowded.append(part[found.crowded])
        return np.concatenate(crowded)

    def _narrow_scores(self, queries: NDArray[np.float32], rows: int) -> RowScores:
        """Return the scores that read least; compiled, once there was enough to widen."""
        if self._codes is None and self._vectors.dtype == np.float32:
            return Float32Scores(self._vectors, queries)
        self._scored += rows * self.dim
        compiled = self._scored > _WORTH_COMPILING
        if self._codes is not None:
            return Int8Scores(self._codes, queries, compiled)
        return Float16Scores(self._vectors, queries, compiled)

    def _search_at_once(
        self,
        dense: NDArray[np.float32],
        chosen: NDArray[np.int64],
        collected: BestRows,
        live: NDArray[np.bool_] | None,
    ) -> None:
        """Fill in rows of queries by all scores of a query at a time."""
        k = collected.rows.shape[1]
        vectors, numbers = self._vectors, None
        if live is not None and _thin(live):  # fewer are read, if copied
            numbers = np.flatnonzero(live)
            vectors, live = vectors[numbers], None
        exact = _cheaper_exactly(len(vectors), len(chosen), k)
        asked = dense[chosen]
        narrow = vectors.dtype == np.float16
        rough = Float16Scores(vectors, asked, False) if narrow else Float32Scores(vectors, asked)
        with np.errstate(all="ignore"):
            products = exact_products(asked, vectors) if exact else all_scores(rough)
        for query, scores, slack in zip(chosen, products, rough.slack, strict=True):
            self._check_finite(scores)
            near = near_best(scores, k, 0.0 if exact else float(slack), live)
            rows = near if numbers is None else numbers[near]
            collected.fill(query, rows, scores[near] if exact else self._score(rows, dense[query]))

    def _search_approximately(
        self, dense: NDArray[np.float32], collected: BestRows, live: NDArray[np.bool_] | None
    ) -> NDArray[np.int64]:
        """Fill in rows of queries; return the queries for which too few rows were found."""
        assert self._approximate is not None
        k = collected.rows.shape[1]
        expected = min(k, self.rows if live is None else int(live.sum()))
        if not expected:
            return np.zeros(0, np.int64)
        short = []
        for query, candidates in enumerate(self._approximate.candidates(dense, k, live)):
            rows = np.sort(candidates[candidates != NO_ROW])
            if len(rows) < expected:
                short.append(query)
            else:
                collected.fill(query, rows, self._score(rows, dense[query]))
        return np.array(short, np.int64)

    def _score(self, rows: NDArray[np.int64], query: NDArray[np.float32]) -> NDArray[np.float32]:
        with np.errstate(all="ignore"):
            scores = self._vectors[rows].astype(np.float64) @ query.astype(np.float64)
            rounded = scores.astype(np.float32)
        self._check_finite(rounded)
        return rounded

    def _check_finite(self, scores: NDArray[np.float32]) -> None:
        """Notice vectors that are no numbers; a sum sees them all in no time."""
        with np.errstate(all="ignore"):
            if not np.isfinite(scores.sum()):
                raise self._damage()

    def _damage(self, name: str = VECTORS) -> ValueError:
        return ValueError(f"{self._folder / name} is damaged: vectors are not finite; {CURE}")


def _cheaper_exactly(rows: int, queries: int, k: int) -> bool:
    """Tell whether to widen all rows once, and multiply, is less than k rows for every query."""
    return rows * (queries + _WIDENING) <= _WIDENING * queries * k


def _thin(live: NDArray[np.bool_] | None) -> bool:
    """Tell whether so few rows are live that copying them pays."""
    return live is not None and _THIN * int(live.sum()) < len(live)
