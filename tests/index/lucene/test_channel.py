"""Search by Lucene against arithmetic, brute force and the native engine, on equal rows."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from embedder.lucene.jvm import INSTALL
from index.channels.inversion import build_inverted
from index.channels.inverted import InvertedChannel
from index.channels.postings_files import open_inverted
from index.channels.weighting import Weighting, statistics
from index.lucene.row_file import RowFile, write_rows
from index.lucene.search import LuceneChannel
from index.lucene.segment_files import LuceneRows
from index.lucene.writing import build_lucene, whole_weights
from index.storage.checksums import FileRecord
from tests.sparse_rows import COLUMNS, ask, counts, spread

pytest.importorskip("jnius_config", reason=f"needs {INSTALL}")

BM25 = Weighting("bm25")
IMPACTS = Weighting("impacts")
ROWS = counts(500, 120, 0.05, seed=1)
ROWS = csr_matrix(ROWS[np.r_[0:500, 5, 5, 17]])  # equal rows tie
ROWS.data *= np.random.default_rng(7).integers(1, 30, len(ROWS.data))  # lengths beyond 40
QUERIES = counts(25, 130, 0.04, seed=2)  # also of columns that no row has; some are empty
LIVE = np.random.default_rng(3).random(ROWS.shape[0]) < 0.7
CUTS = (0, 1, 200, ROWS.shape[0])


def build(matrix: csr_matrix, weighting: Weighting, folder: Path) -> LuceneRows:
    folder.mkdir(parents=True)
    build_lucene(matrix, weighting, folder)
    files = {path.name: FileRecord.of(path) for path in folder.iterdir()}
    return LuceneRows(folder, weighting, (matrix.shape[0], COLUMNS), files)


def segments(
    folder: Path, weighting: Weighting, matrix: csr_matrix = ROWS
) -> tuple[list[LuceneRows], list[NDArray[np.bool_] | None]]:
    parts = [
        build(spread(csr_matrix(matrix[start:end])), weighting, folder / str(start))
        for start, end in pairwise(CUTS)
    ]
    return parts, [LIVE[start:end] for start, end in pairwise(CUTS)]


def quantised(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return lengths as one byte of Lucene keeps them: 40 exact, then 4 bits, rounded down."""
    free, above = 24, np.maximum(lengths - 24, 1)
    bits = np.floor(np.log2(above)).astype(np.int64) + 1
    shift = np.maximum(bits - 4, 0)
    return np.where(lengths < free, lengths, free + ((lengths - free).clip(0) >> shift << shift))


def bm25(rows: csr_matrix, queries: csr_matrix, weighting: Weighting) -> NDArray[np.float64]:
    """Return Lucene's scores of all rows, in float64."""
    full = rows.toarray().astype(np.float64)
    lengths = full.sum(axis=1).astype(np.int64)
    holders = (full > 0).sum(axis=0)
    documents = (lengths > 0).sum()
    idf = np.log1p((documents - holders + 0.5) / (holders + 0.5))
    average = lengths.sum() / documents
    norms = weighting.k1 * (1 - weighting.b + weighting.b * quantised(lengths) / average)
    weights = idf * np.where(full > 0, full / np.maximum(full + norms[:, None], 1e-9), 0)
    scores: NDArray[np.float64] = queries[:, : full.shape[1]].toarray() @ weights.T
    return scores


def best(scores: NDArray[np.float64], live: NDArray[np.bool_], k: int) -> list[int]:
    rows = [row for row in range(len(scores)) if live[row] and scores[row] > 0]
    return sorted(rows, key=lambda row: (-np.float32(scores[row]), row))[:k]


@pytest.mark.parametrize("weighting", [BM25, Weighting("bm25", 1.2, 0.75), Weighting("bm25", 0, 0)])
def test_bm25_is_the_formula_with_lengths_in_four_bits(
    weighting: Weighting, tmp_path: Path
) -> None:
    """Where native and Lucene's BM25 differ, by one byte for each length, and nowhere else."""
    parts, live = segments(tmp_path, weighting)
    expected = bm25(ROWS, QUERIES, weighting)
    hits = LuceneChannel(weighting, parts, live).search(ask(spread(QUERIES)), 40)
    for query, (rows, scores) in enumerate(zip(hits.rows, hits.scores, strict=True)):
        found = rows[rows >= 0]
        assert len(found) == len(best(expected[query], LIVE, 40))
        assert LIVE[found].all()
        np.testing.assert_allclose(scores[rows >= 0], expected[query, found], rtol=2e-6)
        kept = np.sort(expected[query][LIVE])[::-1][: len(found)]
        np.testing.assert_allclose(scores[rows >= 0], kept, rtol=2e-6)


def test_short_lengths_score_as_the_native_engine_does(tmp_path: Path) -> None:
    short = counts(200, 60, 0.1, seed=4)
    short = csr_matrix(short[np.asarray(short.sum(axis=1)).ravel() > 0])  # Lucene counts no others
    assert quantised(np.asarray(short.sum(axis=1)).ravel().astype(np.int64)).max() < 41
    native, lucene = engines(short, BM25, tmp_path)
    queries = ask(spread(counts(20, 60, 0.05, seed=5)))
    mine, theirs = (channel.search(queries, 200) for channel in (native, lucene))
    for query in range(len(queries)):
        expected = dict(zip(mine.rows[query].tolist(), mine.scores[query].tolist(), strict=True))
        scores = dict(zip(theirs.rows[query].tolist(), theirs.scores[query].tolist(), strict=True))
        assert scores == pytest.approx(expected, rel=2e-6)


def engines(
    matrix: csr_matrix, weighting: Weighting, folder: Path
) -> tuple[InvertedChannel, LuceneChannel]:
    (folder / "native").mkdir()
    build_inverted(spread(matrix), folder / "native")
    postings = open_inverted(folder / "native")
    native = InvertedChannel(postings, weighting, statistics([postings], [None]))
    rows = build(spread(matrix), weighting, folder / "lucene")
    return native, LuceneChannel(weighting, [rows], [None])


@pytest.mark.parametrize("k", [1, 10, 1000])
def test_impacts_equal_the_native_engine_and_brute_force(k: int, tmp_path: Path) -> None:
    random = np.random.default_rng(6)
    weights = csr_matrix(ROWS * 1.0)
    weights.data = random.uniform(0.004, 3.0, len(weights.data)).astype(np.float32)  # 0 among them
    queries = csr_matrix(QUERIES * 1.0)
    queries.data = random.uniform(0.004, 2.0, len(queries.data)).astype(np.float32)
    whole, asked = (whole_weights(one, IMPACTS) for one in (weights, queries))
    lucene = LuceneChannel(IMPACTS, *segments(tmp_path, IMPACTS, weights))
    hits = lucene.search(ask(spread(queries)), k)
    native, _ = engines(csr_matrix(whole, dtype=np.float32), IMPACTS, tmp_path)
    other = native.search(ask(spread(csr_matrix(asked, dtype=np.float32))), k, LIVE)
    assert np.array_equal(hits.rows, other.rows)
    assert np.array_equal(hits.scores, other.scores)
    exact = (asked[:, : whole.shape[1]].astype(np.int64) @ whole.astype(np.int64).T).toarray()
    for query, rows in enumerate(hits.rows):
        assert rows[rows >= 0].tolist() == best(exact[query].astype(np.float64), LIVE, k)


def test_terms_in_every_row_can_be_ignored(tmp_path: Path) -> None:
    matrix = csr_matrix(np.array([[1, 2], [1, 0], [3, 1]], np.float32))
    query = csr_matrix(np.array([[1, 1]], np.float32))
    weighting = Weighting("impacts", drop_ubiquitous=True)
    native, lucene = engines(matrix, weighting, tmp_path)
    assert lucene.search(ask(spread(query)), 3).rows.tolist() == [[0, 2, -1]]
    assert native.search(ask(spread(query)), 3).rows.tolist() == [[0, 2, -1]]


@pytest.mark.parametrize("weighting", [BM25, IMPACTS])
def test_a_query_alone_is_answered_as_among_others(weighting: Weighting, tmp_path: Path) -> None:
    channel = LuceneChannel(weighting, *segments(tmp_path, weighting))
    together = channel.search(ask(spread(QUERIES)), 10)
    for at in range(QUERIES.shape[0]):
        alone = channel.search(ask(spread(csr_matrix(QUERIES[at]))), 10)
        assert np.array_equal(alone.rows[0], together.rows[at])
        assert np.array_equal(alone.scores[0], together.scores[at])


@pytest.mark.parametrize("weighting", [BM25, IMPACTS])
def test_parts_add_up_to_the_score(weighting: Weighting, tmp_path: Path) -> None:
    channel = LuceneChannel(weighting, *segments(tmp_path, weighting))
    hits = channel.search(ask(spread(QUERIES)), 5)
    for at, (rows, scores) in enumerate(zip(hits.rows, hits.scores, strict=True)):
        for row, score in zip(rows[rows >= 0].tolist(), scores.tolist(), strict=False):
            parts = channel.contributions(spread(csr_matrix(QUERIES[at])), row)
            assert np.float32(sum(parts.values())) == np.float32(score)
            shared = set(QUERIES[at].indices) & set(ROWS[row].indices)
            assert len(parts) == len(shared)


def test_hundreds_of_terms_are_one_query(tmp_path: Path) -> None:
    """Lucene refuses more than 1,024 clauses unless it is told otherwise."""
    ones = csr_matrix(np.ones((3, 3000), np.float32))
    wide = csr_matrix((ones.data, ones.indices, ones.indptr), shape=(3, COLUMNS))
    channel = LuceneChannel(IMPACTS, [build(wide, IMPACTS, tmp_path / "wide")], [None])
    hits = channel.search(ask(csr_matrix(wide[:1])), 3)
    assert hits.scores.tolist() == [[3000 * 100 * 100.0] * 3]


def same(found: csr_matrix, expected: csr_matrix) -> None:
    for name in ("indptr", "indices", "data"):
        assert np.array_equal(getattr(found, name), getattr(expected, name))


def test_rows_come_back(tmp_path: Path) -> None:
    keep = LIVE[CUTS[2] : CUTS[3]]
    parts, _ = segments(tmp_path, BM25)
    expected = spread(csr_matrix(ROWS[CUTS[2] : CUTS[3]]))
    for rows, wanted in ((parts[2].to_csr(), expected), (parts[2].to_csr(keep), expected[keep])):
        same(rows, wanted)
    same(parts[2].rows_from(255, 290), csr_matrix(expected[255:290]))
    some = np.array([290, 0, 290, 3])
    same(parts[2].read(some), csr_matrix(expected[some]))
    assert parts[2].read(some[:0]).shape == (0, COLUMNS)
    impacts = csr_matrix(np.array([[0.004, 2.3099999], [1e-9, 0.125]], np.float32))
    rows = build(spread(impacts), IMPACTS, tmp_path / "impacts").to_csr()
    assert rows.data.tolist() == pytest.approx([2.31, 0.12])  # to even, and 0 is no entry
    assert whole_weights(rows, IMPACTS).data.tolist() == [231, 12]


@pytest.mark.parametrize("rows", [0, 1, 255, 256, 257, 700])
def test_packed_rows_are_the_rows(rows: int, tmp_path: Path) -> None:
    matrix = csr_matrix(counts(max(rows, 1), 90, 0.1, seed=rows)[:rows])
    write_rows(whole_weights(spread(matrix), BM25), tmp_path)
    same(RowFile.open(tmp_path, rows).read(COLUMNS), spread(matrix))


@pytest.mark.parametrize("name", ["rows.bin", "blocks.npy", "terms.npy"])
def test_no_bit_of_packed_rows_leads_astray(name: str, tmp_path: Path) -> None:
    """A flipped bit is an error of one line, or another number: never a crash, or much memory."""
    write_rows(whole_weights(spread(counts(300, 90, 0.1, seed=1)), BM25), tmp_path)
    path = tmp_path / name
    data = path.read_bytes()
    random = np.random.default_rng(0)
    refused = 0
    for at in random.integers(0, len(data), 60).tolist():
        path.write_bytes(
            data[:at] + bytes([data[at] ^ 1 << int(random.integers(8))]) + data[at + 1 :]
        )
        try:
            RowFile.open(tmp_path, 300).read(COLUMNS)
        except ValueError as error:
            assert "is damaged" in str(error) and "\n" not in str(error)
            refused += 1
    assert refused > 10


@pytest.mark.parametrize(
    ("weighting", "data", "message"),
    [
        (BM25, [1.5], "counts must be whole numbers"),
        (BM25, [np.inf], "counts must be whole numbers"),
        (IMPACTS, [3e7], "weights of Lucene are from 0 to 2147483647"),
        (BM25, [2**30, 2**30], "Lucene holds at most 2147483647 terms a row; row 0 has more"),
    ],
)
def test_what_lucene_cannot_hold_is_refused(
    weighting: Weighting, data: Sequence[float], message: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=message):
        build_lucene(csr_matrix(np.array([data], np.float32)), weighting, tmp_path)
