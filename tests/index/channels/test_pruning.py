"""Search that leaves out what bounds rule out, against the search of all entries, bit for bit."""

from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, vstack

from embedder.types import Representation
from index.channel import _Segments as Segments
from index.channels import inverted
from index.channels.inversion import invert
from index.channels.inverted import InvertedChannel
from index.channels.postings import Postings
from index.channels.pruning.blocks import BLOCK, cut_blocks
from index.channels.pruning.bounds import CODES, measure_terms, no_bounds
from index.channels.pruning.search import MOST_TERMS
from index.channels.weighting import Statistics, Weighting, statistics

COLUMNS = 60
IMPACTS, BM25 = Weighting("impacts"), Weighting("bm25")


@pytest.fixture(autouse=True)
def always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out entries also where many rows are wanted, which would not pay."""
    monkeypatch.setattr(inverted, "_BEST", 2.0)


def draw(rows: int, seed: int, values: int) -> csr_matrix:
    """Draw rows of a few words each, of which the first are in every other row, the last rare."""
    random = np.random.default_rng(seed)
    chance = 1 / (1 + np.arange(COLUMNS)) ** 1.7
    words = random.choice(COLUMNS, size=4 * rows, p=chance / chance.sum())
    weights = random.integers(1, values + 1, len(words)).astype(np.float32)
    matrix = csr_matrix((weights, words, np.arange(0, 4 * rows + 1, 4)), (rows, COLUMNS))
    matrix.sum_duplicates()
    return matrix


@cache
def large(kind: str) -> tuple[Postings, Statistics]:
    """Return 2.2 blocks of rows."""
    values = {"few": 3, "many": 1 << 20}[kind]
    postings = invert(draw(2 * BLOCK + BLOCK // 5, 1, values))
    return postings, statistics([postings], [None])


def ask(random: np.random.Generator, queries: int) -> Representation:
    rows = random.random((queries, COLUMNS)) * (random.random((queries, COLUMNS)) < 0.1)
    return Representation(None, csr_matrix(rows.astype(np.float32)), np.arange(queries))


def check_same(
    postings: Postings, weighting: Weighting, queries: Representation, k: int,
    live: NDArray[np.bool_] | None = None,
) -> None:  # fmt: skip
    counted = statistics([postings], [live])
    full = InvertedChannel(postings, weighting, counted)
    pruned = InvertedChannel(postings, weighting, counted, pruned_from=0)
    for channel in (full, pruned):
        channel.prepare()
    expected, hits = full.search(queries, k, live), pruned.search(queries, k, live)
    np.testing.assert_array_equal(hits.rows, expected.rows)
    np.testing.assert_array_equal(hits.scores, expected.scores)


@pytest.mark.parametrize("k", [1, 10, 1000, 70_000])
@pytest.mark.parametrize("kind", ["few", "many"])
@pytest.mark.parametrize("weighting", [IMPACTS, BM25], ids=["impacts", "bm25"])
def test_equals_the_search_of_all_entries(weighting: Weighting, kind: str, k: int) -> None:
    postings, _ = large(kind)
    random = np.random.default_rng(k)
    check_same(postings, weighting, ask(random, 12), k)
    for share in (0.9999, 0.7, 0.001):
        check_same(postings, weighting, ask(random, 6), k, random.random(postings.rows) < share)


def test_more_equal_scores_than_a_pool_holds() -> None:
    """One word in every row, with one weight: the lowest rows win, however many tie."""
    rows = 3 * BLOCK
    ones = np.ones(rows, np.float32)
    matrix = csr_matrix((ones, np.zeros(rows, np.int64), np.arange(rows + 1)), (rows, COLUMNS))
    check_same(invert(matrix), IMPACTS, ask(np.random.default_rng(0), 3), 10)
    query = Representation(
        None, csr_matrix(([1.0], ([0], [0])), (1, COLUMNS), np.float32), np.arange(1)
    )
    channel = InvertedChannel(invert(matrix), IMPACTS, statistics([invert(matrix)], [None]), 0)
    channel.prepare()
    assert channel.search(query, 5).rows.tolist() == [[0, 1, 2, 3, 4]]


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 30),
    st.lists(st.integers(0, 40), min_size=1, max_size=4),
    st.sampled_from([2, 1 << 20]),
)
def test_segments_leave_out_what_those_before_them_rule_out(
    seed: int, k: int, sizes: list[int], values: int
) -> None:
    """The k-th best score so far bounds the next segment; equal rows of the first one win."""
    drawn = [draw(rows, seed + at, values) for at, rows in enumerate(sizes)]
    segments, joined = [invert(matrix) for matrix in drawn], invert(vstack(drawn, format="csr"))
    queries, counted = (
        ask(np.random.default_rng(seed), 4),
        statistics(segments, [None] * len(sizes)),
    )
    starts = np.cumsum([0, *sizes]).tolist()
    for weighting in (IMPACTS, BM25):
        channels = [InvertedChannel(one, weighting, counted, pruned_from=0) for one in segments]
        for channel in channels:
            channel.prepare()
        whole = InvertedChannel(joined, weighting, counted)  # by NumPy: all entries
        expected = whole.search(queries, k)
        hits = Segments(channels, [None] * len(sizes), starts[:-1]).search(queries, k)
        np.testing.assert_array_equal(hits.rows, expected.rows)
        np.testing.assert_array_equal(hits.scores, expected.scores)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(0, 90), st.sampled_from([2, 1 << 20])
)
def test_equals_on_any_small_rows(seed: int, k: int, rows: int, values: int) -> None:
    postings = invert(draw(rows, seed, values))
    queries = ask(np.random.default_rng(seed), 4)
    for weighting in (IMPACTS, BM25):
        check_same(postings, weighting, queries, k)


@pytest.mark.parametrize("factor", [1e-44, 1e-30, 1e30, 3e38])
def test_weights_at_the_ends_of_float32(factor: float) -> None:
    """Parts that underflow to 0, and bounds that overflow, where scores need not."""
    postings = invert(draw(3000, 5, 3))
    queries = ask(np.random.default_rng(7), 5)
    assert queries.sparse is not None
    scaled = queries.sparse.copy()
    scaled.data = np.maximum(scaled.data * np.float32(factor), np.float32(1e-45))
    for k in (3, 100):
        check_same(postings, BM25, Representation(None, scaled, queries.owner), k)


def test_queries_of_more_terms_than_sums_of_16_bits_allow() -> None:
    random = np.random.default_rng(11)
    columns = 2 * MOST_TERMS
    weights = random.random((200, columns)) * (random.random((200, columns)) < 0.02)
    postings = invert(csr_matrix(weights.astype(np.float32)))
    for share in (0.4, 0.49, 0.9):  # of the columns in a query: below the limit and above
        query = random.random((2, columns)) * (random.random((2, columns)) < share)
        asked = Representation(None, csr_matrix(query.astype(np.float32)), np.arange(2))
        check_same(postings, IMPACTS, asked, 7)


def test_parts_of_a_score_far_smaller_than_others() -> None:
    """A row that only the least of the terms favours is found, though it is below one unit."""
    weights = np.array([[1, 0], [0, 1], [1, 1], [0, 1]], np.float32)
    postings = invert(csr_matrix(weights))
    query = csr_matrix(np.array([[1, 1e-7]], np.float32))
    check_same(postings, IMPACTS, Representation(None, query, np.arange(1)), 4)


def test_threads_and_single_queries_answer_alike() -> None:
    postings, counted = large("few")
    channel = InvertedChannel(postings, BM25, counted, pruned_from=0)
    channel.prepare()
    queries = ask(np.random.default_rng(3), 9)
    together = channel.search(queries, 20)
    for at in range(9):
        alone = channel.search(queries.of_row(at), 20)
        np.testing.assert_array_equal(alone.rows[0], together.rows[at])
        np.testing.assert_array_equal(alone.scores[0], together.scores[at])


@pytest.mark.parametrize("kind", ["few", "many"])
def test_blocks_hold_what_postings_held(kind: str) -> None:
    postings, _ = large(kind)
    blocks = cut_blocks(postings, np.zeros(0, np.float32))
    sizes = np.diff(blocks.part_starts)
    rows = blocks.low + (np.repeat(blocks.part_blocks, sizes).astype(np.int64) * BLOCK)
    np.testing.assert_array_equal(rows, postings.holders(0, len(postings.low)))
    bits = blocks.codes.view(np.float32) if kind == "many" else blocks.values[blocks.codes]
    np.testing.assert_array_equal(bits, postings.weights(slice(None)))
    frequent = postings.document_frequency() * 16 >= postings.rows
    np.testing.assert_array_equal(blocks.frequent >= 0, frequent)


def test_bounds_are_largest_and_ranked_weights() -> None:
    postings, _ = large("few")
    blocks = cut_blocks(postings, np.zeros(0, np.float32))
    bounds = no_bounds(blocks)
    terms = np.arange(len(postings.terms))
    measure_terms(terms, np.ones(len(terms), np.float32), blocks, bounds)
    for term in terms:
        weights = np.sort(postings.weights(slice(*postings.indptr[term : term + 2])))[::-1]
        assert bounds.of_terms[term] == weights[0]
        start, end = postings.indptr[term : term + 2].tolist()
        codes, number = bounds.codes[start:end], blocks.frequent[term]
        if number >= 0:
            codes = bounds.columns[number, postings.holders(start, end)]
            assert np.count_nonzero(bounds.columns[number]) == end - start
        above = codes * (weights[0] / CODES) - postings.weights(slice(start, end))
        assert (above >= 0).all()
        assert (above <= weights[0] / CODES * 1.001).all()
        for level in range(bounds.ranked.shape[1]):
            known = weights[2**level - 1] if 2**level <= len(weights) else 0
            assert 0.98 * known - 0.02 <= bounds.ranked[term, level] <= known
    largest = [postings.weights(slice(a, b)).max() for a, b in pairwise(blocks.part_starts)]
    np.testing.assert_array_equal(bounds.largest, largest)
