"""Seismic and Lucene on the rows that `benchmarks.search` draws, each with its recall.

Seismic (Bruch et al., SIGIR 2024; pip install pyseismic-lsr) is approximate: its own default
postings and blocks, and all terms of a query. Lucene keeps lengths of rows to 4 bits and impacts
in hundredths, and is asked one query at a time by one thread, as the engine of an index asks it.
"""

import statistics as stats
import time
from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from scipy.sparse import csr_matrix

from embedder.types import Representation
from index.base import Hits
from index.channels.inverted import InvertedChannel
from index.channels.postings import Postings
from index.channels.threads import cores
from index.channels.weighting import Weighting
from index.lucene.search import LuceneChannel
from index.lucene.segment_files import LuceneRows
from index.lucene.writing import build_lucene
from index.storage.checksums import FileRecord

_HEAP_FACTORS = (0.9, 0.7)  # of Seismic: blocks below this part of the worst hit are left out
_MOST_TERMS = 1000  # of a query, above all that are drawn
_SAME = 1 - 1e-5  # of a score: what scores so is no worse
REPEATS = 5


class SearchRival(Protocol):
    """Another program that has indexed the same rows."""

    name: str

    def search(self, k: int) -> Sequence[Sequence[int]]:
        """Return rows for each query, at most k."""
        ...


@dataclass(frozen=True, slots=True)
class RivalFigures:
    """How fast a program answers, and which part of the best rows it finds."""

    name: str
    queries_per_second: float
    recall: float


def weighted_rows(channel: InvertedChannel, postings: Postings, columns: int) -> csr_matrix:
    """Return what a channel weighs as rows, (rows, columns) float32."""
    held = postings.holders(0, len(postings.low)).astype(np.int32)
    ends = np.asarray(postings.indptr, np.int64)
    terms = np.repeat(postings.terms, ends[1:] - ends[:-1])
    return csr_matrix((np.array(channel.weights), (held, terms)), (postings.rows, columns))


class Bm25s:
    """bm25s with its numba backend and two threads or more, over the weights of a channel."""

    def __init__(self, channel: InvertedChannel, postings: Postings, queries: csr_matrix) -> None:
        import bm25s

        self._program = bm25s.BM25(backend="numba")
        self._program.scores = {
            "data": np.array(channel.weights),
            "indices": postings.holders(0, len(postings.low)).astype(np.int32),
            "indptr": np.array(postings.indptr),
            "num_docs": postings.rows,
        }
        self._program.nonoccurrence_array = None
        self._program.vocab_dict = {str(term): at for at, term in enumerate(postings.terms)}
        self._program.unique_token_ids_set = set(range(len(postings.terms)))
        at = np.searchsorted(postings.terms, queries.indices)
        known = postings.terms[np.minimum(at, len(postings.terms) - 1)] == queries.indices
        repeats = np.where(known, queries.data, 0).astype(np.int64)  # it knows no query weights
        self._queries: list[list[int]] = [
            np.repeat(at[start:end], repeats[start:end]).tolist()
            for start, end in pairwise(queries.indptr)
        ]

    def search(self, k: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Return rows and scores, both (q, k)."""
        hits = self._program.retrieve(self._queries, k=k, n_threads=cores(), show_progress=False)
        return hits.documents, hits.scores


class SeismicSearch:
    """Seismic over rows of weights, with as many threads as it takes by default."""

    name: str
    _heap_factor: float

    def __init__(self, rows: csr_matrix, queries: csr_matrix) -> None:
        import seismic

        text = seismic.get_seismic_string()
        dataset = seismic.SeismicDatasetLV()  # of more than 65,536 words
        for at, (start, end) in enumerate(pairwise(rows.indptr)):
            values = rows.data[start:end].astype(np.float32)
            dataset.add_document(str(at), rows.indices[start:end].astype(text), values)
        self._index = seismic.SeismicIndexLV.build_from_dataset(dataset)
        ends = list(pairwise(queries.indptr))
        self._ids = np.arange(len(ends)).astype(text)
        self._terms = [queries.indices[start:end].astype(text) for start, end in ends]
        self._values = [queries.data[start:end].astype(np.float32) for start, end in ends]

    def with_heap_factor(self, factor: float) -> "SeismicSearch":
        """Return the same index, searched so."""
        other = copy(self)
        other.name, other._heap_factor = f"Seismic, heap factor {factor:g}", factor
        return other

    def search(self, k: int) -> list[list[int]]:
        """Return rows for each query."""
        found: list[list[int]] = [[] for _ in self._ids]
        answers = self._index.batch_search(
            self._ids, self._terms, self._values, k=k, query_cut=_MOST_TERMS,
            heap_factor=self._heap_factor,
        )  # fmt: skip
        for answer in answers:
            for query, _, row in answer:
                found[int(query)].append(int(row))
        return found


class LuceneSearch:
    """Lucene over counts or impacts, as an index with that engine has it."""

    name = "Lucene"

    def __init__(
        self, documents: csr_matrix, queries: csr_matrix, weighting: Weighting, folder: Path
    ) -> None:
        folder.mkdir()
        build_lucene(documents, weighting, folder)
        files = {path.name: FileRecord.of(path) for path in folder.iterdir()}
        part = LuceneRows(folder, weighting, documents.shape, files)
        self._channel = LuceneChannel(weighting, [part], [None])
        self._queries = Representation(None, queries, np.arange(queries.shape[0]))

    def search(self, k: int) -> list[list[int]]:
        """Return rows for each query."""
        hits = self._channel.search(self._queries, k)
        return [row[row >= 0].tolist() for row in hits.rows]


def measure_rival(
    rival: SearchRival, rows: csr_matrix, queries: csr_matrix, exact: Hits
) -> RivalFigures:
    """Time a program on all queries, and count what it finds of the exact best rows.

    It is asked for as many as `exact` has.
    """
    k = exact.rows.shape[1]
    found = rival.search(k)  # also what it does once
    seconds = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        rival.search(k)
        seconds.append(time.perf_counter() - started)
    return RivalFigures(
        rival.name, len(found) / stats.median(seconds), recall(found, rows, queries, exact)
    )


def recall(
    found: Sequence[Sequence[int]], rows: csr_matrix, queries: csr_matrix, exact: Hits
) -> float:
    """Return the mean part of the best rows that was found; rows of one score stand for others."""
    parts = []
    for at, chosen in enumerate(found):
        best = exact.scores[at][np.isfinite(exact.scores[at])]
        if len(best):
            scores = (rows[list(chosen)] @ queries[at].T).toarray().ravel()
            parts.append(min(1.0, float((scores >= best[-1] * _SAME).sum()) / len(best)))
    return float(np.mean(parts)) if parts else 1.0


def number_columns(rows: csr_matrix, queries: csr_matrix) -> tuple[csr_matrix, csr_matrix]:
    """Return rows and queries over the columns that rows have, numbered: words have up to 2**62."""
    columns = np.unique(rows.indices)

    def numbered(matrix: csr_matrix) -> csr_matrix:
        at = np.searchsorted(columns, matrix.indices).clip(max=len(columns) - 1)
        kept = np.concatenate([[0], np.cumsum(known := columns[at] == matrix.indices)])
        shape = (matrix.shape[0], len(columns))
        return csr_matrix((matrix.data[known], at[known], kept[matrix.indptr]), shape)

    return numbered(rows), numbered(queries)


def make_seismic(rows: csr_matrix, queries: csr_matrix) -> Iterator[SearchRival]:
    """Yield Seismic by its heap factors; a line and nothing where it is not installed."""
    if find_spec("seismic") is None:
        Console().print("Seismic is left out: pip install pyseismic-lsr")
        return
    built = SeismicSearch(rows, queries)
    for factor in _HEAP_FACTORS:
        yield built.with_heap_factor(factor)


def make_lucene(
    documents: csr_matrix, queries: csr_matrix, weighting: Weighting, folder: Path
) -> Iterator[SearchRival]:
    """Yield Lucene; a line and nothing where there is no Java or no Lucene."""
    try:
        yield LuceneSearch(documents, queries, weighting, folder)
    except ValueError as error:
        Console().print(f"Lucene is left out: {error}")
