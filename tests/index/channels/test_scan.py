"""Search in blocks against all scores in float64: the same rows, scores and ties."""

import numpy as np
import pytest
from numpy.typing import NDArray

from index.base import NO_ROW
from index.channels.dense import DenseChannel
from index.channels.exact import candidates, scan
from index.channels.exact.row_scores import Float32Scores
from index.channels.threads import cores, run_together, single_threaded_blas
from tests.dense_rows import as_queries, unit_rows

ROWS, DIM = 20_011, 24
RANDOM = np.random.default_rng(5)
VECTORS = unit_rows(ROWS, DIM)
VECTORS[RANDOM.integers(ROWS, size=4000)] = VECTORS[RANDOM.integers(ROWS, size=4000)]
QUERIES = np.concatenate([VECTORS[:3], unit_rows(37, DIM, seed=1)])
HALF = RANDOM.random(ROWS) < 0.5
TENTH = RANDOM.random(ROWS) < 0.3 * (np.arange(ROWS) < 15_000)


@pytest.fixture(params=[1, 3], ids=["alone", "threads"], autouse=True)
def threads(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks in one thread, and in three."""
    monkeypatch.setattr(scan, "_WORTH_THREADS", 0)
    monkeypatch.setattr(scan, "cores", lambda: request.param)


def assert_exact(
    vectors: NDArray[np.float32],
    queries: NDArray[np.float32],
    k: int,
    live: NDArray[np.bool_] | None = None,
) -> None:
    """Compare with all products in float64, rounded, sorted by score and then by row."""
    hits = DenseChannel(vectors).search(as_queries(queries), k, live)
    scores = (queries.astype(np.float64) @ vectors.astype(np.float64).T).astype(np.float32)
    rows = np.arange(len(vectors)) if live is None else np.flatnonzero(live)
    for found, of_found, expected in zip(hits.rows, hits.scores, scores, strict=True):
        best = rows[np.lexsort((rows, -expected[rows]))][:k]
        assert found[: len(best)].tolist() == best.tolist()
        assert (found[len(best) :] == NO_ROW).all()
        np.testing.assert_array_equal(of_found[: len(best)], expected[best])


@pytest.mark.parametrize("live", [None, HALF, TENTH], ids=["all", "half", "tenth"])
@pytest.mark.parametrize("k", [1, 10, 700, 30_000])
@pytest.mark.parametrize("queries", [1, 5, 40])
def test_rows_scores_and_ties(queries: int, k: int, live: NDArray[np.bool_] | None) -> None:
    assert_exact(VECTORS, QUERIES[:queries], k, live)


@pytest.mark.parametrize("turn", [1, -1])
def test_rows_in_order_of_their_score(turn: int) -> None:
    """Rising scores let every row in, falling ones none after the first block."""
    order = np.argsort(VECTORS @ QUERIES[5])[::turn]
    assert_exact(np.ascontiguousarray(VECTORS[order]), QUERIES[4:7], 10)


@pytest.mark.parametrize("queries", [1, 20])
def test_equal_rows_are_given_up_and_found_one_by_one(
    queries: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(candidates, "_CROWD", 1000)
    vectors = VECTORS.copy()
    vectors[2000:18_000] = vectors[7]
    asked = np.concatenate([vectors[7:8], -vectors[7:8], QUERIES])[:queries]
    assert_exact(vectors, asked, 5)
    found = scan.near_rows(Float32Scores(vectors, asked), 5, None, None)
    kept = [len(rows) for rows in found.of_queries()]
    assert found.crowded[0]
    assert kept[0] == 0
    assert max(kept) <= 1000


def test_few_of_many_rows_are_let_in() -> None:
    found = scan.near_rows(Float32Scores(VECTORS, QUERIES), 10, None, None)
    assert not found.crowded.any()
    assert max(len(rows) for rows in found.of_queries()) < 50


@pytest.mark.parametrize("queries", [2, 40])
@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_vectors_that_are_no_numbers_are_noticed(queries: int, wrong: float) -> None:
    vectors = VECTORS.copy()
    vectors[19_000, 3] = wrong
    with pytest.raises(ValueError, match=r"vectors\.npy is damaged: vectors are not finite"):
        DenseChannel(vectors).search(as_queries(QUERIES[:queries]), 3)


def test_queries_are_as_many_at_once_as_candidates_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan, "_HELD", 30)
    assert [scan.queries_at_once(k) for k in (1, 10, 1000)] == [30, 3, 1]
    assert_exact(VECTORS, QUERIES, 10)


def test_work_is_done_once_and_its_errors_are_raised() -> None:
    left = iter(range(1000))
    done: list[int] = []
    run_together(lambda: done.extend(left), 4)
    assert sorted(done) == list(range(1000))

    def fail() -> None:
        raise OSError("no")

    with pytest.raises(OSError, match="no"):
        run_together(fail, 2)


def test_blas_gets_its_threads_back_with_the_last_who_leaves() -> None:
    from threadpoolctl import ThreadpoolController

    def threads_of_blas() -> list[int]:
        libraries = ThreadpoolController().select(user_api="blas").info()
        return [library["num_threads"] for library in libraries]

    with ThreadpoolController().limit(limits=2, user_api="blas"):
        before = threads_of_blas()
        with single_threaded_blas:
            with single_threaded_blas:
                pass
            assert set(threads_of_blas()) == {1}
        assert threads_of_blas() == before
    assert cores() >= 1
