"""Brute force with torch against a plain sort of float64 products."""

import numpy as np
import pytest

from embedder.types import Representation
from index.base import NO_ROW
from tests.dense_rows import as_queries, brute_force, unit_rows
from tests.exact import ExactIndex

VECTORS = unit_rows(500, 24)
VECTORS[[3, 70, 71, 400]] = VECTORS[9]  # equal vectors tie
QUERIES = np.concatenate([VECTORS[9:10], unit_rows(12, 24, seed=1)])


@pytest.mark.parametrize("k", [1, 3, 10, 470, 500, 600])
@pytest.mark.parametrize("share", [None, 0.5, 0.01, 0.0])
def test_equals_a_plain_sort(k: int, share: float | None) -> None:
    live = None if share is None else np.random.default_rng(2).random(500) < share
    hits = ExactIndex(VECTORS).search(as_queries(QUERIES), k, live)
    for query, rows in zip(QUERIES, hits.rows, strict=True):
        expected = brute_force(VECTORS, query, k, live)
        assert rows.tolist() == expected + [NO_ROW] * (k - len(expected))


def test_a_query_alone_equals_one_among_others() -> None:
    index = ExactIndex(VECTORS)
    together = index.search(as_queries(QUERIES), 50)
    for at in range(len(QUERIES)):
        alone = index.search(as_queries(QUERIES[at : at + 1]), 50)
        np.testing.assert_array_equal(alone.rows[0], together.rows[at])
        np.testing.assert_array_equal(alone.scores[0], together.scores[at])


def test_many_equal_vectors_are_returned_in_order() -> None:
    """More ties than there are spare candidates at first."""
    hits = ExactIndex(np.repeat(VECTORS[:1], 300, axis=0)).search(as_queries(VECTORS[:1]), 5)
    assert hits.rows.tolist() == [[0, 1, 2, 3, 4]]


def test_an_empty_index_answers_with_pads() -> None:
    hits = ExactIndex(np.zeros((0, 24), np.float32)).search(as_queries(QUERIES), 2)
    assert (hits.rows == NO_ROW).all()


def test_wrong_queries_are_refused() -> None:
    index = ExactIndex(VECTORS)
    with pytest.raises(ValueError, match="index holds 24-d vectors; query has 8-d"):
        index.search(as_queries(unit_rows(1, 8)), 1)
    broken = QUERIES.copy()
    queries = as_queries(broken)
    broken[0, 0] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        index.search(queries, 1)
    with pytest.raises(ValueError, match="float32"):
        ExactIndex(VECTORS.astype(np.float64))


@pytest.mark.gpu
def test_a_gpu_gives_the_same_rows_and_scores() -> None:
    import torch

    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    here = ExactIndex(VECTORS).search(as_queries(QUERIES), 20)
    there = ExactIndex(VECTORS, "cuda").search(as_queries(QUERIES), 20)
    np.testing.assert_array_equal(here.rows, there.rows)
    np.testing.assert_array_equal(here.scores, there.scores)


def test_sparse_queries_are_refused() -> None:
    from scipy.sparse import csr_matrix

    sparse = Representation(None, csr_matrix(np.ones((1, 3), np.float32)), np.arange(1))
    with pytest.raises(ValueError, match="dense query rows"):
        ExactIndex(VECTORS).search(sparse, 1)
