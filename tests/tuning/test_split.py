"""Queries are dealt out by units, and too few of them are refused before any work."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.arithmetic import Arithmetic, task
from tuning.search.budget import Budget
from tuning.search.journal import Journal
from tuning.search.pipeline import tune
from tuning.search.split import (
    check_decidable,
    detectable_gain,
    folds,
    is_folded,
    plan_split,
    three_parts,
    unit_numbers,
    units,
)


@given(st.lists(st.sets(st.integers(0, 9), max_size=4), min_size=6, max_size=60), st.integers(0, 9))
def test_queries_of_like_answers_never_part(documents: list[set[int]], seed: int) -> None:
    relevant = {f"q{at}": frozenset(map(str, some)) for at, some in enumerate(documents)}
    unit_of = dict(zip(relevant, unit_numbers(relevant, [*relevant]), strict=True))
    for a, first in relevant.items():
        for b, second in relevant.items():
            alike = a == b or 2 * len(first & second) >= max(1, len(first | second))
            assert not alike or unit_of[a] == unit_of[b]
    try:
        parts = three_parts(relevant, seed)
    except ValueError:
        assert len(units(relevant)) < 3
        return
    part_of = {
        query: name for name in ("search", "select", "confirm") for query in getattr(parts, name)
    }
    assert part_of.keys() == relevant.keys()
    assert len({(unit_of[query], part) for query, part in part_of.items()}) == len(units(relevant))


def test_units_by_hand() -> None:
    """Two of three documents are half and more; one of three is less; words are words."""
    relevant = {
        "a": frozenset("12"), "b": frozenset("123"), "c": frozenset("345"), "d": frozenset("6"),
        "e": frozenset("7"), "f": frozenset(), "g": frozenset(),
    }  # fmt: skip
    assert units(relevant) == [["a", "b"], ["c"], ["d"], ["e"], ["f"], ["g"]]
    texts = {"c": "Tea?", "e": " tea", "f": "?", "g": "??"}
    assert units(relevant, texts) == [["a", "b"], ["c", "e"], ["d"], ["f"], ["g"]]


def test_single_documents_do_not_tie_all_queries_together() -> None:
    """All 76 queries of CISI hang together through single documents: SEARCH was empty."""
    chain = {f"q{at}": frozenset(f"d{at + step}" for step in range(4)) for at in range(0, 228, 3)}
    assert len(chain) == 76 == len(units(chain)) and is_folded(chain)
    assert [len(part) for part in folds(chain, 0)] == [15, 15, 15, 31]
    many = {f"q{at}": frozenset(f"d{at + step}" for step in range(4)) for at in range(0, 300, 3)}
    parts = three_parts(many, 0)
    assert [len(parts.search), len(parts.select), len(parts.confirm)] == [50, 25, 25]


def test_parts_have_their_shares() -> None:
    relevant = {f"q{at}": frozenset([str(at)]) for at in range(200)}
    parts = three_parts(relevant, 0)
    assert (len(parts.search), len(parts.select), len(parts.confirm)) == (100, 50, 50)
    assert three_parts(relevant, 1) != parts == three_parts(relevant, 0)


def test_a_large_unit_leaves_the_parts_their_units() -> None:
    """Dealt out by queries, a unit of 200 took the place of all others in SEARCH."""
    relevant = {f"q{at}": frozenset(["same" if at < 200 else str(at)]) for at in range(299)}
    plan = plan_split(relevant, 0)
    assert plan.units == {"search": 50, "select": 25, "confirm": 25}


@pytest.mark.parametrize("queries", [0, 1, 5, 30])
def test_queries_of_one_unit_are_refused_before_the_search(queries: int) -> None:
    """A fold had no query to search on, and torch told of an empty list after the scoring."""
    objective = Arithmetic(queries=queries)
    asked = task(objective, {})
    object.__setattr__(asked, "relevant", {f"q{at}": frozenset("a") for at in range(queries)})
    with pytest.raises(ValueError, match=rf"needs 6 queries that differ.*; {queries} came"):
        tune(asked, Budget(), Journal(None, {}))
    assert not objective.asked


def test_equal_texts_are_one_query() -> None:
    relevant = {f"q{at}": frozenset([str(at)]) for at in range(90)}
    texts = dict.fromkeys(relevant, "the same question")
    with pytest.raises(ValueError, match="90 came, 1 of them different"):
        check_decidable(relevant, 0.05, texts)


def test_what_a_split_can_detect_is_accepted_as_often_as_said() -> None:
    """Student's paired t-test of 50 differences of that mean: four of five are significant."""
    rng = np.random.default_rng(0)
    gain = detectable_gain(50, alpha=0.05, sd=0.2, power=0.8)
    drawn = rng.normal(gain, 0.2, (4_000, 50))
    t = drawn.mean(axis=1) / drawn.std(axis=1, ddof=1) * 50**0.5
    assert np.mean(t > 1.6766) == pytest.approx(0.8, abs=0.02)
    assert detectable_gain(1) == np.inf


def test_a_plan_says_what_will_be_done() -> None:
    relevant = {f"q{at}": frozenset([str(at)]) for at in range(200)}
    plan = plan_split(relevant, seed=3)
    assert not plan.folded and plan.parts["confirm"] == three_parts(relevant, 3).confirm
    few = plan_split(dict([*relevant.items()][:30]), seed=3)
    assert few.folded and sum(few.units.values()) == 30 and few.detectable > plan.detectable > 0.05
