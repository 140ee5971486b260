"""Recall of factories: the exact best by hand, and settings that are those of a search."""

import numpy as np
import pytest

from index.channels.approximate import build, effort_of, search, search_with
from index.channels.recall import RecallTrial
from tests.dense_rows import unit_rows

pytest.importorskip("faiss")
VECTORS = unit_rows(3000, 32)
QUERIES = unit_rows(20, 32, seed=1)


@pytest.mark.parametrize(
    ("factory", "name", "own"),
    [("IVF64,Flat", "nprobe", 8), ("HNSW16", "efSearch", 64), ("PCAR16,IVF64,SQ8", "nprobe", 8)],
)
def test_the_setting_of_an_index_itself_comes_first(factory: str, name: str, own: int) -> None:
    index = build(factory, VECTORS)
    assert effort_of(index, factory, 10)[:2] == (name, own)
    np.testing.assert_array_equal(
        search_with(index, factory, QUERIES, 10, own), search(index, factory, QUERIES, 10, None)
    )
    figures = list(RecallTrial(VECTORS, QUERIES, 10).figures(factory))
    assert [each.own for each in figures] == [True] + [False] * (len(figures) - 1)
    assert figures[0].setting == f"{name} {own}"
    efforts = [int(each.setting.split()[1]) for each in figures[1:]]
    assert efforts == sorted({own * 2, own * 4, own * 8, own // 2, own // 4, own // 8})


def test_all_lists_find_all_and_one_list_what_is_in_it() -> None:
    trial, k = RecallTrial(VECTORS, QUERIES, 10), 10
    figures = {each.setting: each for each in trial.figures("IVF64,Flat")}
    assert figures["nprobe 64"].recall == 1
    index = build("IVF64,Flat", VECTORS)
    exact = np.argsort(-(QUERIES @ VECTORS.T), axis=1)[:, :k]
    found = search_with(index, "IVF64,Flat", QUERIES, k, 1)
    by_hand = [len(set(best) & set(rows)) / k for best, rows in zip(exact, found, strict=True)]
    assert figures["nprobe 1"].recall == pytest.approx(np.mean(by_hand))
    assert 0 < figures["nprobe 1"].recall < 1
    flat = trial.flat()
    assert (flat.recall, flat.bytes_per_vector, flat.factory) == (1, 128, "Flat")


def test_codes_have_nothing_to_set_and_their_bytes_are_counted() -> None:
    [figure] = RecallTrial(VECTORS, QUERIES, 10).figures("SQ8")
    assert (figure.setting, figure.own) == ("", True)
    assert figure.bytes_per_vector == pytest.approx(32, rel=0.05)
    assert figure.recall > 0.9


def test_equal_rows_count_as_found() -> None:
    """Of eight rows that are equal, any three are the best three."""
    vectors = VECTORS.copy()
    vectors[100:108] = QUERIES[0]
    [figure] = RecallTrial(vectors, QUERIES[:1], 3).figures("Flat")
    assert figure.recall == 1
