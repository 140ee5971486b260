"""Sparse search against a loop over all rows, for both ways of computing it."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from embedder.types import Representation
from index.base import NO_ROW
from index.channels.inversion import build_inverted, invert
from index.channels.inverted import InvertedChannel
from index.channels.postings import Postings
from index.channels.postings_files import open_inverted
from index.channels.weighting import Statistics, Weighting, statistics
from tests.sparse_rows import COLUMNS, ask, counts, spread, stored

BM25 = Weighting("bm25")
IMPACTS = Weighting("impacts")


DOCUMENTS = counts(600, 120, 0.05, seed=1)
DOCUMENTS = csr_matrix(DOCUMENTS[np.r_[0:600, 5, 5, 17]])  # equal rows tie
QUERIES = counts(25, 130, 0.04, seed=2)  # also of columns that no row has; some are empty
LIVE = np.random.default_rng(3).random(DOCUMENTS.shape[0]) < 0.7


@pytest.fixture(scope="module")
def postings(tmp_path_factory: pytest.TempPathFactory) -> Postings:
    return stored(DOCUMENTS, tmp_path_factory.mktemp("postings"))


def channels(
    postings: Postings, weighting: Weighting, counted: Statistics
) -> Sequence[InvertedChannel]:
    """Return one that still computes with numpy, and one that computes with numba."""
    few, many = (InvertedChannel(postings, weighting, counted) for _ in range(2))
    many.prepare()
    return few, many


def brute_force(
    documents: csr_matrix, query: csr_matrix, weighting: Weighting, live: np.ndarray
) -> dict[int, float]:
    """Score live rows with Python floats, term by term, by the formula as it is written."""
    rows = documents.toarray()
    kept = np.flatnonzero(live)
    average = rows[kept].sum() / max(len(kept), 1)
    scores: dict[int, float] = {}
    for row in kept:
        for column, factor in zip(query.indices, query.data, strict=True):
            if column >= rows.shape[1] or not rows[row, column]:
                continue
            count, df = float(rows[row, column]), int((rows[kept, column] > 0).sum())
            part = count
            if weighting.kind == "bm25":
                idf = math.log(1 + (len(kept) - df + 0.5) / (df + 0.5))
                norm = 1 - weighting.b + weighting.b * rows[row].sum() / average
                part = idf * count / (count + weighting.k1 * norm)
            if weighting.drop_ubiquitous and df == len(kept):
                continue
            scores[int(row)] = scores.get(int(row), 0.0) + float(factor) * part
    return scores


@pytest.mark.parametrize("weighting", [IMPACTS, BM25, Weighting("bm25", k1=1.5, b=0.75)])
@pytest.mark.parametrize("live", [None, LIVE], ids=["all", "live"])
@pytest.mark.parametrize("k", [1, 10, 100, 1000])
def test_equals_a_loop_over_all_rows(
    postings: Postings, weighting: Weighting, live: np.ndarray | None, k: int
) -> None:
    few, many = channels(postings, weighting, statistics([postings], [live]))
    hits = few.search(ask(spread(QUERIES)), k, live)
    compiled = many.search(ask(spread(QUERIES)), k, live)
    np.testing.assert_array_equal(hits.rows, compiled.rows)
    np.testing.assert_array_equal(hits.scores, compiled.scores)
    everywhere = np.ones(len(LIVE), np.bool_) if live is None else live
    for at, (rows, scores) in enumerate(zip(hits.rows, hits.scores, strict=True)):
        expected = brute_force(DOCUMENTS, QUERIES[at], weighting, everywhere)
        found = int((rows != NO_ROW).sum())
        assert found == min(k, len(expected))
        np.testing.assert_allclose(
            scores[:found], [expected[row] for row in rows[:found]], rtol=1e-5
        )
        best = sorted(expected.values(), reverse=True)[:found]
        np.testing.assert_allclose(scores[:found], best, rtol=1e-5)
        order = sorted(range(found), key=lambda i: (-scores[i], rows[i]))
        assert order == list(range(found))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 30))
def test_ties_go_to_the_lower_row(seed: int, k: int) -> None:
    """Small whole impacts: sums are exact, and most of them tie."""
    documents, queries = counts(90, 6, 0.3, seed), counts(3, 6, 0.5, seed + 1)
    held = invert(spread(documents))
    dense = (queries @ documents.T).toarray()
    for channel in channels(held, IMPACTS, statistics([held], [None])):
        hits = channel.search(ask(spread(queries)), k)
        for rows, scores in zip(hits.rows, dense, strict=True):
            best = sorted(np.flatnonzero(scores), key=lambda row: (-scores[row], row))[:k]
            assert rows.tolist() == best + [NO_ROW] * (k - len(best))


def test_segments_answer_as_one(postings: Postings, tmp_path: Path) -> None:
    """The same scores to the bit, however rows are cut into segments."""
    cut = 250
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    parts = [
        stored(csr_matrix(DOCUMENTS[:cut]), tmp_path / "a"),
        stored(csr_matrix(DOCUMENTS[cut:]), tmp_path / "b"),
    ]
    counted = statistics(parts, [LIVE[:cut], LIVE[cut:]])
    whole = statistics([postings], [LIVE])
    assert counted.documents == whole.documents == LIVE.sum()
    assert counted.average_length == pytest.approx(whole.average_length, rel=1e-12)
    known = counted.frequency_of(whole.terms)
    np.testing.assert_array_equal(known, whole.document_frequency)
    one = InvertedChannel(postings, BM25, whole).search(ask(spread(QUERIES)), 700, LIVE)
    scores = {(q, r): s for q in range(25) for r, s in zip(one.rows[q], one.scores[q], strict=True)}
    for part, start, live in zip(parts, (0, cut), (LIVE[:cut], LIVE[cut:]), strict=True):
        hits = InvertedChannel(part, BM25, counted).search(ask(spread(QUERIES)), 700, live)
        for query, row in zip(*np.nonzero(hits.rows != NO_ROW), strict=True):
            held = (int(query), int(hits.rows[query, row]) + start)
            assert hits.scores[query, row] == scores[held]


def test_deleted_rows_count_nowhere(tmp_path: Path) -> None:
    documents = csr_matrix(np.array([[1, 0], [1, 3], [0, 5]], np.float32))
    counted = statistics([stored(documents, tmp_path)], [np.array([True, True, False])])
    assert (counted.documents, counted.average_length) == (2, 2.5)
    assert counted.document_frequency.tolist() == [2, 1]


def test_bm25_by_hand(tmp_path: Path) -> None:
    documents = csr_matrix(np.array([[2, 1], [0, 1], [0, 4]], np.float32))
    held = stored(documents, tmp_path)
    channel = InvertedChannel(held, BM25, statistics([held], [None]))
    query = spread(csr_matrix(np.array([[1, 0]], np.float32)))
    hits = channel.search(ask(query), 3)
    idf = math.log(1 + (3 - 1 + 0.5) / (1 + 0.5))
    score = idf * 2 / (2 + 0.9 * (1 - 0.4 + 0.4 * 3 / (8 / 3)))
    assert hits.rows.tolist() == [[0, NO_ROW, NO_ROW]]
    assert hits.scores[0, 0] == pytest.approx(score, rel=1e-6)


def test_ubiquitous_terms_are_dropped_if_asked(tmp_path: Path) -> None:
    documents = csr_matrix(np.array([[2, 1], [1, 0], [7, 3]], np.float32))
    held = stored(documents, tmp_path)
    weighting = Weighting("impacts", drop_ubiquitous=True)
    channel = InvertedChannel(held, weighting, statistics([held], [None]))
    query = spread(csr_matrix(np.array([[1, 1]], np.float32)))
    assert channel.search(ask(query), 3).rows.tolist() == [[2, 0, NO_ROW]]
    live = np.array([True, False, True])  # now the other one stands everywhere too
    channel = InvertedChannel(held, weighting, statistics([held], [live]))
    assert (channel.search(ask(query), 3, live).rows == NO_ROW).all()


@pytest.mark.parametrize("weighting", [IMPACTS, BM25])
def test_contributions_add_up_to_the_score(postings: Postings, weighting: Weighting) -> None:
    channel = InvertedChannel(postings, weighting, statistics([postings], [None]))
    hits = channel.search(ask(spread(QUERIES)), 5)
    for at in range(QUERIES.shape[0]):
        query = spread(QUERIES[at])
        for row, score in zip(hits.rows[at], hits.scores[at], strict=True):
            if row == NO_ROW:
                continue
            parts = channel.contributions(query, int(row))
            assert set(parts) <= set(query.indices.tolist())
            assert sum(parts.values()) == pytest.approx(score, rel=1e-5)


def test_a_query_alone_equals_one_among_others(postings: Postings) -> None:
    for channel in channels(postings, BM25, statistics([postings], [None])):
        together = channel.search(ask(spread(QUERIES)), 20)
        for at in range(QUERIES.shape[0]):
            alone = channel.search(ask(spread(QUERIES[at])), 20)
            np.testing.assert_array_equal(alone.rows[0], together.rows[at])
            np.testing.assert_array_equal(alone.scores[0], together.scores[at])


@pytest.mark.parametrize("rows", [0, 3])
def test_nothing_held_answers_with_pads(rows: int, tmp_path: Path) -> None:
    held = stored(csr_matrix(np.zeros((rows, 5), np.float32)), tmp_path)
    assert held.to_csr().shape == (rows, COLUMNS)
    for weighting in (IMPACTS, BM25):
        for channel in channels(held, weighting, statistics([held], [None])):
            assert (channel.search(ask(spread(QUERIES)), 4).rows == NO_ROW).all()


def test_no_queries_are_no_hits(postings: Postings) -> None:
    for channel in channels(postings, BM25, statistics([postings], [None])):
        assert channel.search(ask(spread(csr_matrix(QUERIES[:0]))), 4).rows.shape == (0, 4)


def test_rows_out_of_range_are_refused_before_they_are_written_to(tmp_path: Path) -> None:
    build_inverted(spread(DOCUMENTS), tmp_path)
    rows = np.load(tmp_path / "rows.npy")
    rows[5] = 60_000
    np.save(tmp_path / "rows.npy", rows)
    with pytest.raises(ValueError, match=r"is damaged: .* entries must be of rows 0 to 602"):
        open_inverted(tmp_path)
    held = open_inverted(tmp_path, sound=True)
    counted = Statistics(1, 1.0, held.terms, np.ones(len(held.terms), np.int64))
    with pytest.raises(ValueError, match="one is of row 60000; build the index again"):
        InvertedChannel(held, IMPACTS, counted).prepare()


def test_wrong_input_is_refused(postings: Postings, tmp_path: Path) -> None:
    channel = InvertedChannel(postings, BM25, statistics([postings], [None]))
    dense = Representation(np.ones((1, 1), np.float32), None, np.arange(1))
    with pytest.raises(ValueError, match="sparse query rows"):
        channel.search(dense, 1)
    with pytest.raises(ValueError, match="k must be at least 1"):
        channel.search(ask(spread(QUERIES)), 0)
    with pytest.raises(ValueError, match="live must be"):
        channel.search(ask(spread(QUERIES)), 1, LIVE[:3])
    with pytest.raises(ValueError, match="one query"):
        channel.contributions(spread(QUERIES), 0)
    with pytest.raises(ValueError, match="positive"):
        build_inverted(csr_matrix(np.array([[-1.0]], np.float32)), tmp_path)
    with pytest.raises(ValueError, match="kind is"):
        Weighting("tfidf")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="b <= 1"):
        Weighting("bm25", b=2)
