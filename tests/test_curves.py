"""Curves and fronts, against arithmetic by hand and trec_eval's definition."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.curves import bin_edges, gain_at, pareto, precision_recall

QRELS = {"q": {"a": 1, "b": 1, "c": 0}}
RUN = {"q": {"a": 3.0, "c": 2.0, "b": 1.0}}


def test_interpolated_precision_by_hand() -> None:
    """Recall 1/2 is reached with precision 1, recall 1 with 2/3."""
    curve = precision_recall(RUN, QRELS)
    assert [curve[level] for level in (0.0, 0.5)] == [1.0, 1.0]
    assert [curve[level] for level in (0.6, 1.0)] == pytest.approx([2 / 3, 2 / 3])
    assert len(curve) == 11


def test_an_unanswered_query_halves_a_curve() -> None:
    more = QRELS | {"unanswered": {"a": 1}}
    assert precision_recall(RUN, more)[0.0] == 0.5


def test_gain_by_hand() -> None:
    best = 1 + 1 / np.log2(3)
    assert gain_at(RUN, QRELS, (1, 2, 3)) == pytest.approx(
        {1: 1.0, 2: 1 / best, 3: (1 + 1 / np.log2(4)) / best}
    )


def test_a_front_by_hand() -> None:
    points = {
        "slow": (9, 0.5),
        "fast": (1, 0.3),
        "bad": (2, 0.2),
        "mid": (2, 0.5),
        "same": (2, 0.5),
    }
    assert pareto(points) == ["fast", "mid", "same"]


@given(st.dictionaries(st.text(), st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1))
def test_a_front_is_what_nothing_beats(points: dict[str, tuple[int, int]]) -> None:
    def beaten(name: str) -> bool:
        cost, quality = points[name]
        return any(
            c <= cost and q >= quality and (c < cost or q > quality) for c, q in points.values()
        )

    found = pareto({name: (float(c), float(q)) for name, (c, q) in points.items()})
    assert sorted(found) == sorted(name for name in points if not beaten(name))


def test_edges_hold_all_values_and_follow_ratios_where_they_are_wide() -> None:
    assert bin_edges([[1, 2], [4]], 3) == pytest.approx([1, 2, 3, 4])
    assert bin_edges([[1], [1000]], 3) == pytest.approx([1, 10, 100, 1000])
    assert bin_edges([[7.0]], 1) == pytest.approx([6.5, 7.5])
