"""Curves and fronts, against arithmetic by hand and trec_eval's definition."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.measures.curves import (
    CUTOFFS,
    RECALLS,
    bin_edges,
    gain_at,
    pareto_front,
    precision_recall,
)

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
    assert pareto_front(points) == ["fast", "mid", "same"]


@given(st.dictionaries(st.text(), st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1))
def test_a_front_is_what_nothing_beats(points: dict[str, tuple[int, int]]) -> None:
    def beaten(name: str) -> bool:
        cost, quality = points[name]
        return any(
            c <= cost and q >= quality and (c < cost or q > quality) for c, q in points.values()
        )

    found = pareto_front({name: (float(c), float(q)) for name, (c, q) in points.items()})
    assert sorted(found) == sorted(name for name in points if not beaten(name))


@pytest.mark.parametrize("name", ["IPrec", "nDCG"])
def test_curves_are_those_of_trec_eval_on_random_runs_with_ties(name: str) -> None:
    pytrec_eval: Any = pytest.importorskip("pytrec_eval")
    generator = np.random.default_rng(7)
    doc_ids = [f"d{number}" for number in range(150)]
    qrels = {
        f"q{query}": {doc: int(generator.integers(0, 3)) for doc in doc_ids[query : query + 12]}
        for query in range(20)
    }
    run = {
        f"q{query}": {doc: float(generator.integers(0, 9)) for doc in doc_ids}
        for query in range(1, 22)  # q0 is not answered, q20 and q21 are not judged
    }
    asked = "iprec_at_recall" if name == "IPrec" else "ndcg_cut." + ",".join(map(str, CUTOFFS))
    judged = pytrec_eval.RelevanceEvaluator(qrels, {asked}).evaluate(run)
    keys = [
        *(f"iprec_at_recall_{level:.2f}" for level in RECALLS if name == "IPrec"),
        *(f"ndcg_cut_{k}" for k in CUTOFFS if name == "nDCG"),
    ]
    expected = [sum(judged.get(query, {}).get(key, 0) for query in qrels) / 20 for key in keys]
    curve = precision_recall(run, qrels) if name == "IPrec" else gain_at(run, qrels)
    assert list(curve.values()) == pytest.approx(expected, abs=1e-12)


def test_edges_of_fractions_follow_ratios_where_they_are_wide() -> None:
    assert bin_edges([[1.5, 2], [4.5]], 3) == pytest.approx([1.5, 2.5, 3.5, 4.5])
    assert bin_edges([[0.5], [500]], 3) == pytest.approx([0.5, 5, 50, 500])
    assert bin_edges([[0.5]], 1) == pytest.approx([0, 1])


def test_edges_of_whole_numbers_lie_between_them() -> None:
    assert bin_edges([[1, 2], [4]], 3).tolist() == [0.5, 2.5, 4.5]
    assert bin_edges([[1], [999]], 3).tolist() == [0.5, 9.5, 99.5, 999.5]
    assert bin_edges([[7]], 1).tolist() == [6.5, 7.5]


@given(
    st.lists(st.integers(0, 10_000) | st.floats(0, 1e6).map(lambda x: round(x, 3)), min_size=1),
    st.integers(1, 40),
)
def test_edges_rise_and_hold_every_value(values: list[float], bins: int) -> None:
    edges = bin_edges([values], bins)
    assert len(edges) <= bins + 1 and (np.diff(edges) > 0).all()
    assert np.histogram(values, edges)[0].sum() == len(values)


@given(st.integers(0, 50), st.integers(1, 400), st.integers(1, 40))
def test_an_even_spread_of_whole_numbers_has_no_peaks(low: int, count: int, bins: int) -> None:
    """Thirty bins over 6..46 words once held one or two lengths each, and showed a comb."""
    values = range(low, low + count)
    edges = bin_edges([values], bins)
    counts = np.histogram(values, edges)[0]
    if low == 0 or (low + count - 1) / low < 100:
        assert (counts[:-1] == counts[0]).all() and counts[-1] <= counts[0]
    else:
        assert (counts == np.diff(edges)).all()
