"""Measure exact sparse search beside bm25s on the same postings, in the same run.

Seismic and Lucene are asked for the same rows, each with its recall; one that is not installed is
left out, with a line.

From 32,768 rows on searches leave out rows by bounds; the search of all is timed too.

python -m benchmarks.search [--data FOLDER] [--documents 100000] [--alone] [--dry]
"""

import argparse
import json
import statistics as stats
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy.sparse import csr_matrix

from benchmarks.record import append
from benchmarks.search_rivals import (
    Bm25s,
    make_lucene,
    make_seismic,
    measure_rival,
    number_columns,
    weighted_rows,
)
from embedder.encoders.bm25 import BM25Encoder
from embedder.types import Representation, Role
from index.base import NO_ROW, Hits
from index.channels.inversion import build_inverted
from index.channels.inverted import InvertedChannel
from index.channels.postings import Postings
from index.channels.postings_files import open_inverted
from index.channels.threads import cores
from index.channels.weighting import Weighting, statistics

DATA = Path(__file__).resolve().parents[2] / "shared/data/retrieval"
_REPEATS = 15
_WARM = 0.05  # seconds of untimed calls before each timed one
_DEPTHS = (10, 100, 1000)
_TOLERANCE = 1e-5  # of scores, relative


@dataclass(frozen=True, slots=True)
class Collection:
    """Sparse rows of documents and queries, and how their weights are read."""

    name: str
    documents: csr_matrix
    queries: csr_matrix
    weighting: Weighting


def main() -> None:
    """Run all comparisons and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--data", type=Path, default=Path(__file__).resolve().parents[2] / "shared/data/retrieval"
    )
    parser.add_argument("--documents", type=int, default=100_000, help="of the synthetic part")
    parser.add_argument(
        "--alone", action="store_true", help="no Seismic and Lucene: Seismic builds for minutes"
    )
    parser.add_argument("--dry", action="store_true", help="append nothing to results.jsonl")
    options = parser.parse_args()
    table = Table(title=f"Inverted search, {cores()} cores, queries/s")
    for heading in ("search", "queries/s", "bm25s", "ratio", "all entries", "floor"):
        table.add_column(heading, justify="left" if heading == "search" else "right")
    others = Table("search", "program", title="Other programs on the same rows")
    for heading in ("queries/s", "recall"):
        others.add_column(heading, justify="right")
    bandwidth = _bandwidth()
    for collection in _collections(options.data, options.documents):
        for record in _compare(collection, bandwidth, options.alone):
            if not options.dry:
                append(record)
            table.add_row(*_cells(record))
            for each in record["others"]:
                rate = f"{each['queries_per_second']:,.0f}"
                others.add_row(str(record["name"]), each["name"], rate, f"{each['recall']:.3f}")
    Console().print(table, *([others] if others.row_count else []))


def _collections(data: Path, documents: int) -> Iterator[Collection]:
    if (data / "scifact/corpus.jsonl").is_file():
        encoder = BM25Encoder()
        corpus = _texts(data / "scifact/corpus.jsonl")
        query_texts = _texts(
            data / "scifact/queries.jsonl", _judged(data / "scifact/qrels/test.tsv")
        )
        counts = _sparse(encoder, corpus, Role.DOCUMENT)
        queries = _sparse(encoder, query_texts, Role.QUERY)
        yield Collection("scifact, BM25", counts, queries, Weighting("bm25"))
    else:
        Console().print(f"scifact is left out: {data} holds no scifact/corpus.jsonl")
    counts, queries = synthetic(documents, 300, np.random.default_rng(0))
    yield Collection(f"Zipf {documents}, BM25", counts, queries, Weighting("bm25"))
    impacts = csr_matrix((np.log1p(counts.data), counts.indices, counts.indptr), counts.shape)
    yield Collection(f"Zipf {documents}, impacts", impacts, queries, Weighting("impacts"))


def synthetic(
    documents: int, queries: int, random: np.random.Generator
) -> tuple[csr_matrix, csr_matrix]:
    """Draw counts of words by Zipf and Mandelbrot's law, and queries of 3 to 12 of their words.

    Returns:
        (documents, 200000) counts and (queries, 200000) ones, float32.
    """
    vocabulary = 200_000
    chance = 1 / (np.arange(vocabulary) + 20.0)  # the most frequent words are stopped
    cumulative = np.cumsum(chance / chance.sum())
    lengths = random.lognormal(np.log(100), 0.4, documents).astype(np.int64) + 1
    words = np.searchsorted(cumulative, random.random(lengths.sum())).clip(max=vocabulary - 1)
    bounds = np.concatenate([[0], np.cumsum(lengths)])
    ones = np.ones(len(words), np.float32)
    counts = csr_matrix((ones, words, bounds), shape=(documents, vocabulary))
    counts.sum_duplicates()
    query_terms = [
        np.unique(random.choice(counts[row].indices, random.integers(3, 13)))
        for row in random.integers(documents, size=queries)
    ]
    ends = np.concatenate([[0], np.cumsum([len(terms) for terms in query_terms])])
    terms = np.concatenate(query_terms)
    return counts, csr_matrix(
        (np.ones(len(terms), np.float32), terms, ends), shape=(queries, vocabulary)
    )


def _compare(collection: Collection, bandwidth: float, alone: bool) -> Iterator[dict[str, Any]]:
    """Time ours and bm25s in turns; yield a record for each depth."""
    queries = Representation(None, collection.queries, np.arange(collection.queries.shape[0]))
    with tempfile.TemporaryDirectory() as name:
        build_inverted(collection.documents, Path(name))
        postings = open_inverted(Path(name))
        channel = InvertedChannel(postings, collection.weighting, statistics([postings], [None]))
        channel.prepare()
        full = _all_entries(postings, collection.weighting) if channel.prunes else None
        theirs = Bm25s(channel, postings, collection.queries)
        weighed = weighted_rows(channel, postings, collection.documents.shape[1])
        rows, numbered = number_columns(weighed, collection.queries)
        lucene = Path(name) / "lucene"
        asked = (collection.documents, collection.queries, collection.weighting)
        others = () if alone else (make_seismic(rows, numbered), make_lucene(*asked, lucene))
        rivals = [rival for made in others for rival in made]
        floor = len(queries) * bandwidth / _bytes_touched(postings, collection.queries)
        for k in _DEPTHS:
            _check_same(channel.search(queries, k), *theirs.search(k))
            mine, other = _in_turns(partial(channel.search, queries, k), partial(theirs.search, k))
            ratios = [b / a for a, b in zip(mine, other, strict=True)]
            pruned = _beside_all_entries(channel, full, queries, k) if full is not None else {}
            exact = channel.search(queries, k)
            yield pruned | {
                "others": [asdict(measure_rival(each, rows, numbered, exact)) for each in rivals],
                "name": f"search {collection.name} k={k}",
                "queries_per_second_median": len(queries) / stats.median(mine),
                "queries_per_second_min_max": [len(queries) / max(mine), len(queries) / min(mine)],
                "baseline": "bm25s, numba backend, same postings and threads",
                "baseline_queries_per_second_median": len(queries) / stats.median(other),
                "ratio_median": stats.median(ratios),
                "ratio_min_max": [min(ratios), max(ratios)],
                "floor_queries_per_second": floor,
                "floor": "one core reads all entries of a query's terms, and all scores twice",
                "memory_bytes_per_second": bandwidth,
                "queries": len(queries),
                "rows": postings.rows,
                "repeats": _REPEATS,
            }


def _all_entries(postings: Postings, weighting: Weighting) -> InvertedChannel:
    """Return a channel that reads all entries of the terms of a query, however many rows it has."""
    counted = statistics([postings], [None])
    channel = InvertedChannel(postings, weighting, counted, pruned_from=postings.rows + 1)
    channel.prepare()
    return channel


def _beside_all_entries(
    channel: InvertedChannel, full: InvertedChannel, queries: Representation, k: int
) -> dict[str, Any]:
    """Time a search that leaves out entries and one that reads all; stop if hits differ."""
    mine, other = channel.search(queries, k), full.search(queries, k)
    np.testing.assert_array_equal(mine.rows, other.rows)
    np.testing.assert_array_equal(mine.scores, other.scores)
    times = _in_turns(partial(channel.search, queries, k), partial(full.search, queries, k))
    ratios = [b / a for a, b in zip(*times, strict=True)]
    return {
        "all_entries_queries_per_second_median": len(queries) / stats.median(times[1]),
        "ratio_to_all_entries_median": stats.median(ratios),
        "ratio_to_all_entries_min_max": [min(ratios), max(ratios)],
    }


def _check_same(hits: Hits, rows: NDArray[np.int32], scores: NDArray[np.float32]) -> None:
    """Stop if scores differ, or rows other than those of one score.

    Where fewer than k rows score above 0, bm25s fills up with rows that score 0.
    """
    mine = np.where(hits.rows == NO_ROW, 0, hits.scores)
    np.testing.assert_allclose(mine, scores, rtol=_TOLERANCE, atol=_TOLERANCE)
    for query in range(len(rows)):
        last = mine[query, -1] * (1 + 2 * _TOLERANCE) + 2 * _TOLERANCE
        surely = set(hits.rows[query, mine[query] > last].tolist())
        if not surely <= set(rows[query].tolist()):
            raise SystemExit(f"query {query}: rows differ: {sorted(surely - set(rows[query]))}")


def _in_turns(
    first: Callable[[], object], second: Callable[[], object]
) -> tuple[list[float], list[float]]:
    """Time two calls in turns, so that what else the machine does strikes both; seconds."""
    times: tuple[list[float], list[float]] = ([], [])
    for turn in range(2 * _REPEATS):
        ready = time.perf_counter() + _WARM
        while time.perf_counter() < ready:  # its threads wake, and the other's spin no more
            (first, second)[turn % 2]()
        started = time.perf_counter()
        (first, second)[turn % 2]()
        times[turn % 2].append(time.perf_counter() - started)
    return times


def _bytes_touched(postings: Postings, queries: csr_matrix) -> int:
    """Return the bytes that queries read: 6 for each entry, and 8 for each score."""
    at = np.searchsorted(postings.terms, queries.indices).clip(max=len(postings.terms) - 1)
    known = postings.terms[at] == queries.indices
    entries = postings.document_frequency()[at[known]].sum()
    return int(6 * entries + 8 * postings.rows * queries.shape[0])


def _bandwidth() -> float:
    """Measure how many bytes a second one core reads from memory."""
    block = np.ones(1 << 26, np.float32)  # 256 MiB
    times = []
    for _ in range(5):
        started = time.perf_counter()
        block.max()
        times.append(time.perf_counter() - started)
    return block.nbytes / min(times)


def _sparse(encoder: BM25Encoder, texts: Sequence[str], role: Role) -> csr_matrix:
    sparse = encoder.encode(texts, role).sparse
    assert sparse is not None
    return sparse


def _judged(path: Path) -> set[str]:
    return {line.split("\t")[0] for line in path.read_text(encoding="utf-8").splitlines()[1:]}


def _texts(path: Path, ids: set[str] | None = None) -> list[str]:
    with path.open(encoding="utf-8") as file:
        lines = [json.loads(line) for line in file]
    return [
        f"{line.get('title', '')} {line['text']}".strip()
        for line in lines
        if ids is None or line["_id"] in ids
    ]


def _cells(record: dict[str, Any]) -> list[str]:
    low, high = record["ratio_min_max"]
    full = record.get("all_entries_queries_per_second_median")
    return [
        str(record["name"]).removeprefix("search "),
        f"{record['queries_per_second_median']:,.0f}",
        f"{record['baseline_queries_per_second_median']:,.0f}",
        f"{record['ratio_median']:.2f} ({low:.2f}-{high:.2f})",
        f"{full:,.0f}" if full else "",
        f"{record['floor_queries_per_second']:,.0f}",
    ]


if __name__ == "__main__":
    main()
