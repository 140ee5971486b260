"""Comparisons: by hand, the family of Holm, means over data sets, what is left out."""

import json
import math

import numpy as np
import pytest

from eval.data.beir import CQADUPSTACK_PARTS as PARTS
from eval.measures.measures import Values
from eval.statistics.compare import compare
from eval.statistics.comparison import CompareOptions, Comparison, Difference
from eval.statistics.paired import pair, pairs
from eval.statistics.significance import Interval, Outcomes, holm, mean_interval, sign_flip_test

System = dict[str, Values]


def values(*numbers: float, measure: str = "nDCG@10") -> Values:
    return {measure: {f"q{at}": number for at, number in enumerate(numbers)}}


def random_system(seed: int, mean: float, datasets: tuple[str, ...] = ("x", "y")) -> System:
    rng = np.random.default_rng(seed)
    sizes = {"x": 30, "y": 12}
    return {
        name: values(*np.clip(rng.normal(mean, 0.3, sizes[name]), 0, 1).tolist())
        for name in datasets
    }


def row(comparison: Comparison, dataset: str, baseline: str, system: str) -> Difference:
    [found] = [
        held
        for held in (*comparison.rows, *comparison.macro)
        if (held.dataset, held.baseline, held.system) == (dataset, baseline, system)
    ]
    return found


def test_a_comparison_by_hand() -> None:
    ours, theirs = {"x": values(0.5, 0.25, 0.0, 1.0)}, {"x": values(1.0, 0.5, 0.0, 0.75)}
    found = compare({"a": ours, "b": theirs})
    [held] = found.rows
    assert found.measure == "nDCG@10" and found.systems == ("a", "b") and found.macro == ()
    assert found.means == {"x": {"a": 0.4375, "b": 0.5625}}
    assert (held.baseline_mean, held.system_mean, held.difference) == (0.4375, 0.5625, 0.125)
    assert held.outcomes == Outcomes(wins=2, ties=1, losses=1) and held.items == 4
    # Differences .5 .25 0 -.25: of 8 sums of +-2 +-1 +-1 all but the two zeros reach 2.
    assert (held.test.p, held.test.exact, held.p_holm) == (6 / 8, True, 6 / 8)
    spread = math.sqrt((0.375**2 + 0.125**2 + 0.125**2 + 0.375**2) / 3)
    assert held.effect == pytest.approx(0.125 / spread)
    differences = np.array([0.5, 0.25, 0.0, -0.25])
    assert held.interval == mean_interval([differences], np.random.default_rng(0))


def test_a_comparison_prints_as_a_table_that_cuts_nothing() -> None:
    """It was the repr of a dataclass; control characters of a name reach no terminal."""
    name = "a-system-" + "x" * 100
    systems = {
        "a": {"x": values(0.5, 0.25, 0.0, 1.0), "y": values(0.0)},
        f"\x1b{name}": {"x": values(1.0, 0.5, 0.0)},
    }
    comparison = compare(systems)
    heading, star, columns, dataset, baseline, system, *others = str(comparison).split("\n")
    assert heading == "nDCG@10, compared with a:" and star.startswith("* significant at 0.05")
    assert columns.split() == ["mean", "diff", "±95", "%", "p", "Holm", "effect", "w/t/l"]
    assert (dataset, baseline.split()) == ("x", ["a", "0.4375"])
    assert system.startswith(f"  \\x1b{name}  0.5000  +0.2500 ±") and system.endswith("  2/1/0")
    assert len(columns) == len(system)
    assert others == [
        "",
        "Not compared: y, which only a has.",
        "",
        f"x: a and \\x1b{name} are compared on the 3 items that both have; 1 only of a and 0 only "
        f"of \\x1b{name} are left out. On these a has 0.2500.",
    ]
    assert repr(comparison).startswith("Comparison(measure='nDCG@10'")


def test_the_family_is_every_pair_on_every_data_set() -> None:
    systems = {name: random_system(at, 0.4 + at / 10) for at, name in enumerate("abc")}
    first = compare(systems)
    every = compare(systems, options=CompareOptions(all_pairs=True))
    assert [(one.dataset, one.baseline, one.system) for one in first.rows] == [
        *(("x", "a", "b"), ("y", "a", "b"), ("x", "a", "c"), ("y", "a", "c"))
    ]
    assert len(every.rows) == 6 and len(every.macro) == 3
    for found in (first, every):
        for rows in (found.rows, found.macro):
            assert [one.p_holm for one in rows] == holm([one.test.p for one in rows])


def test_what_else_is_compared_changes_no_row_but_for_the_correction() -> None:
    systems = {name: random_system(at, 0.4 + at / 10) for at, name in enumerate("abc")}
    alone = compare({name: {"x": systems[name]["x"]} for name in "ac"}).rows[0]
    among = row(compare(systems), "x", "a", "c")
    assert not alone.test.exact
    assert (alone.test, alone.interval) == (among.test, among.interval)
    assert compare(systems) == compare(systems)
    other = compare(systems, options=CompareOptions(seed=1))
    assert row(other, "x", "a", "c").interval != among.interval


def test_the_average_over_data_sets_weighs_them_alike() -> None:
    ours = {"x": values(0.0, 0.0), "y": values(0.0, 0.0, 0.0, 0.0)}
    theirs = {"x": values(0.5, 0.25), "y": values(0.25, 0.25, -0.25, 0.5)}
    [held] = compare({"a": ours, "b": theirs}).macro
    assert held.dataset == "mean of 2" and held.items == 6
    assert held.difference == pytest.approx((0.375 + 0.1875) / 2)
    # In sixteenths of the sum: 4 2 of x, 1 1 -1 2 of y. Nobody else weighs them like this.
    parts = np.array([4.0, 2.0, 1.0, 1.0, -1.0, 2.0])
    assert held.test == sign_flip_test(parts, np.random.default_rng(0))
    strata = [np.array([0.5, 0.25]), np.array([0.25, 0.25, -0.25, 0.5])]
    assert held.interval == mean_interval(strata, np.random.default_rng(0))
    assert held.outcomes == Outcomes(5, 0, 1) and held.effect is None


def test_the_parts_of_cqadupstack_count_as_one_data_set() -> None:
    better = {"scifact": values(0.5, 0.5), **{part: values(0.25, 0.0) for part in PARTS}}
    worse = {dataset: values(0.0, 0.0) for dataset in better}
    [held] = compare({"a": worse, "b": better}).macro
    assert held.dataset == "mean of 2" and held.difference == pytest.approx((0.5 + 0.125) / 2)
    # Each .5 adds .5/2/2 to the mean, each .25 adds .25/2/12/2: 24 times less.
    parts = np.array([24.0, 24.0, *[1.0] * 12])
    assert held.test.p == sign_flip_test(parts, np.random.default_rng(0)).p
    del better["scifact"]
    [held] = compare({"a": worse, "b": better}).macro
    assert held.dataset == "cqadupstack" and held.difference == pytest.approx(0.125)


def test_items_that_only_one_has_are_named_and_not_compared() -> None:
    ours = {"x": {"AP": {"q1": 0.5, "q2": 0.5, "q9": 0.0}}}
    theirs = {"x": {"AP": {"q2": 0.75, "q1": 0.5, "q3": 1.0, "q4": 1.0}}}
    found = compare({"a": ours, "b": theirs})
    [held] = found.rows
    assert held.items == 2 and held.difference == 0.125
    assert (held.only_baseline, held.only_system) == (("q9",), ("q3", "q4"))
    assert found.means["x"] == pytest.approx({"a": 1 / 3, "b": 3.25 / 4})


def test_data_sets_that_not_all_have_are_named() -> None:
    found = compare({"a": random_system(0, 0.5), "b": random_system(1, 0.5, ("y",))})
    assert found.datasets == ("y",) and found.left_out == {"x": ("a",)}


def test_what_rounding_leaves_is_a_tie() -> None:
    held = pair("x", ("a", {"q": 0.3, "r": 1.0}), ("b", {"r": 1.0, "q": 0.1 + 0.2}))
    assert held.differences.tolist() == [0.0, 0.0] and held.items == ("q", "r")


def test_one_item_has_no_interval() -> None:
    [held] = compare({"a": {"x": values(0.5)}, "b": {"x": values(0.75)}}).rows
    assert held.interval is None and held.effect is None and held.test.p == 1.0


def test_pairs_keep_the_order() -> None:
    assert pairs(["a", "b", "c"], every=False) == [("a", "b"), ("a", "c")]
    assert pairs(["a", "b", "c"], every=True) == [("a", "b"), ("a", "c"), ("b", "c")]


def test_json_holds_every_figure() -> None:
    systems = {name: random_system(at, 0.5) for at, name in enumerate("ab")}
    found = compare(systems, options=CompareOptions(level=0.9))
    told = json.loads(json.dumps(found.to_json(), allow_nan=False))
    [held] = told["macro"]
    assert told["level"] == 0.9 and told["datasets"] == ["x", "y"]
    assert Interval(**held["interval"]) == found.macro[0].interval
    assert held["p"] == found.macro[0].test.p and held["wins"] == found.macro[0].outcomes.wins
    assert [one["items"] for one in told["rows"]] == [30, 12]


@pytest.mark.parametrize(
    ("systems", "measure", "message"),
    [
        ({"a": {"x": values(1)}}, None, "needs two systems; got a"),
        ({}, None, "needs two systems; got none"),
        (
            {"a": {"x": values(1)}, "b": {"y": values(1)}},
            None,
            "no data set is shared by all systems: a has x; b has y",
        ),
        (
            {"a": {"x": values(1)}, "b": {"x": values(1, measure="AP")}},
            None,
            "b has no measure 'nDCG@10' of x; it has AP",
        ),
        ({"a": {"x": values(1)}, "b": {"x": values(1)}}, "AP", "a has no measure 'AP' of x"),
        (
            {"a": {"x": {"AP": {"q": 1.0}}}, "b": {"x": {"AP": {"r": 1.0}}}},
            None,
            "no item of x in common, e.g. 'q' and 'r': are they of the same split",
        ),
        ({"a": {"x": values(math.nan)}, "b": {"x": values(1)}}, None, "1 not finite"),
    ],
)
def test_what_does_not_compare_is_refused(
    systems: dict[str, System], measure: str | None, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        compare(systems, measure)
