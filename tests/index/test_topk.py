"""The tie rule: selection and merging against a plain sort."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from index.base import NO_ROW, Hits
from index.topk import BestRows, near_best, select

FEW_VALUES = st.sampled_from([-1.0, 0.0, 0.25, 0.5, 2.0])  # few, so that many tie


def best(scores: list[float], k: int) -> list[int]:
    """Return the rows that a plain sort puts first, padded."""
    order = sorted(range(len(scores)), key=lambda row: (-scores[row], row))[:k]
    return order + [NO_ROW] * (k - len(order))


def selected(scores: list[float], k: int) -> Hits:
    return select(np.array([scores], np.float32), k)


@given(st.lists(FEW_VALUES, max_size=30), st.integers(1, 40))
def test_select_is_a_stable_sort(scores: list[float], k: int) -> None:
    assert selected(scores, k).rows[0].tolist() == best(scores, k)


@given(st.lists(st.tuples(FEW_VALUES, st.booleans()), min_size=1, max_size=30), st.integers(1, 40))
def test_select_leaves_out_dead_rows(pairs: list[tuple[float, bool]], k: int) -> None:
    scores, live = map(list, zip(*pairs, strict=True))
    hits = select(np.array([scores], np.float32), k, np.array(live, np.bool_))
    ranked = [row for row in best(scores, len(scores)) if live[row]][:k]
    assert hits.rows[0].tolist() == ranked + [NO_ROW] * (k - len(ranked))


@given(st.lists(FEW_VALUES, min_size=1, max_size=40), st.integers(1, 20), st.data())
def test_merging_parts_equals_selecting_from_the_whole(
    scores: list[float], k: int, data: st.DataObject
) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(scores)), max_size=4)))
    bounds = [0, *cuts, len(scores)]
    parts = [selected(scores[start:end], k) for start, end in pairwise(bounds)]
    best, whole = BestRows(1, k), selected(scores, k)
    for hits, start in zip(parts, bounds, strict=False):
        best.take_in(hits, start)
    merged = best.hits()
    np.testing.assert_array_equal(merged.rows, whole.rows)
    np.testing.assert_array_equal(merged.scores, whole.scores)


def test_of_equal_rows_the_first_stay() -> None:
    late, early = selected([1.0], 1), selected([1.0, 3.0], 2)
    best = BestRows(1, 2)
    best.take_in(early, 2)
    best.take_in(late, 5)
    assert best.hits().rows.tolist() == [[3, 2]]


@pytest.mark.parametrize("k", [1, 7, 100, 999])
def test_groups_do_not_lose_a_row(k: int) -> None:
    """Large enough that maxima of groups bound the k-th score."""
    scores = np.random.default_rng(k).integers(0, 500, (3, 20_011)).astype(np.float32)
    assert select(scores, k).rows.tolist() == [best(row.tolist(), k) for row in scores]


@pytest.mark.parametrize("k", [1, 20, 100, 999])
@pytest.mark.parametrize("share", [0, 0.001, 0.02, 0.5])
def test_few_rows_that_may_be_found_are_found(k: int, share: float) -> None:
    """Of rows by the ten thousand a narrow filter leaves a few: numpy took ten times as long."""
    random = np.random.default_rng(k)
    scores = random.integers(-5, 5, 20_011).astype(np.float32)
    live = random.random(len(scores)) < share
    expected = best(np.where(live, scores, -np.inf).tolist(), k)
    hits = select(scores[None], k, live)
    assert hits.rows[0].tolist() == [row if live[row] else NO_ROW for row in expected]


def test_near_best_has_every_row_within_slack() -> None:
    scores: NDArray[np.float32] = np.random.default_rng(1).random(5000, np.float32)
    kth = np.sort(scores)[-10]
    assert set(np.flatnonzero(scores >= kth - 0.01)) <= set(near_best(scores, 10, 0.01))


def test_minus_infinity_is_no_hit() -> None:
    assert selected([-np.inf, 1.0, -np.inf], 2).rows.tolist() == [[1, NO_ROW]]


@pytest.mark.parametrize(
    ("scores", "k", "live", "message"),
    [
        ([1.0], 0, None, "k must be at least 1; got 0"),
        ([np.nan, 1.0], 1, None, "query 0 hold NaN"),
        ([1.0, 2.0], 1, [True], r"live must be \(2,\) bool"),
    ],
)
def test_wrong_input_is_refused(
    scores: list[float], k: int, live: list[bool] | None, message: str
) -> None:
    mask = None if live is None else np.array(live)
    with pytest.raises(ValueError, match=message):
        select(np.array([scores], np.float32), k, mask)


def test_hits_of_other_queries_are_refused() -> None:
    with pytest.raises(ValueError, match="same queries"):
        BestRows(1, 2).take_in(BestRows(2, 2).hits(), 9)
