"""Comparing and reporting correct p-values over one family, in which a run is tested once."""

from pathlib import Path

import numpy as np
import pytest

from eval.measures.measures import Values
from eval.report.gather import gather
from eval.report.tables import Averaged, columns, verdict
from eval.runs.record import Record, RunCost
from eval.runs.run_config import open_run
from eval.statistics.compare import compare
from eval.statistics.comparison import CompareOptions
from eval.statistics.significance import holm, sign_flip_test
from lastword.main import main

AT = "at 0.05 by Holm over"


def values(seed: int, mean: float, number: int = 60) -> Values:
    drawn = np.clip(np.random.default_rng(seed).normal(mean, 0.25, number), 0, 1)
    return {"accuracy": {str(at): float(value) for at, value in enumerate(drawn)}}


A, B, C = values(0, 0.5), values(1, 0.62), values(2, 0.7)


def folder(path: Path, runs: dict[str, Values], datasets: tuple[str, ...] = ("d",)) -> Path:
    """Write a folder of runs that are not of retrieval; the last one counts."""
    open_run(path, {"benchmark": "transfer"}, resume=False)
    for dataset in datasets:
        counted = list(runs)[-1]
        prints = {name: '{"kind":"llm"}' for name in runs}
        cost = RunCost({"encode": 1.0}, {}, 10)
        Record("transfer", dataset, runs, counted, prints, cost, {}).write(path)
    return path


def p_of(ours: Values, theirs: Values) -> float:
    first, second = (np.array(list(held["accuracy"].values())) for held in (ours, theirs))
    return sign_flip_test(second - first, np.random.default_rng(0)).p


def test_a_run_that_is_there_twice_is_tested_once() -> None:
    """Its copy doubled the p of all others: what was significant no longer was."""
    p = p_of(A, B)
    assert 0.025 < p < 0.05  # significant once, and not over two tests
    systems = {"a": {"d": A}, "b": {"d": B}, "again": {"d": B}, "a too": {"d": A}}
    found = compare(systems)
    assert found.tests == 1 and found.identical == {"again": "b", "a too": "a"}
    assert [row.p_holm for row in found.rows] == [p, p, 1.0]
    assert compare(systems, options=CompareOptions(all_pairs=True)).tests == 1
    accuracies = {name: {"d": held["d"]["accuracy"]} for name, held in systems.items()}
    [made] = columns([Averaged("m", accuracies, {"d": 1})])
    assert made.tests == 1 and made.identical == {"again": "b", "a too": "a"}
    assert (made.cells["a"].p, made.cells["a"].mark, made.cells["again"].mark) == (
        p,
        "worse",
        "close",
    )
    assert verdict(made, "m").endswith(
        f"significantly higher than a ({AT} 1 test). "
        "Equal on every item, so not tested again: again (as b), a too (as a)."
    )


def test_only_what_differs_is_corrected_for() -> None:
    systems = {"a": {"d": A}, "b": {"d": B}, "c": {"d": C}}
    p = [p_of(A, B), p_of(A, C)]
    assert [row.p_holm for row in compare(systems).rows] == holm(p)
    assert compare(systems).identical == {}


def test_a_report_and_a_comparison_say_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of two folders that both hold the same BM25, a report tested that run twice over."""
    both = ("d", "e")
    one = folder(tmp_path / "one", {"bm25": values(5, 0.4), "fused": A}, both)
    two = folder(tmp_path / "two", {"bm25": values(5, 0.4), "fused": B}, both)
    [d, e] = compare({"one": {name: A for name in both}, "two": {name: B for name in both}}).rows
    assert d.p_holm == e.p_holm == min(1.0, 2 * p_of(A, B))
    report = gather([one, two])
    for held in report.sets:
        [made] = held.table.columns
        assert made.best == "two fused" and made.tests == 2
        assert made.cells["one fused"].p == d.p_holm
        assert {made.cells[name].mark for name in ("one bm25", "two bm25")} == {"beside"}
    main(["compare", str(one), str(two)])
    out = capsys.readouterr().out
    head = [
        "accuracy, compared with one:",
        f"* significant {AT} 2 tests of a measure, means apart.",
    ]
    assert [line.strip() for line in out.splitlines() if line.strip()][:2] == head
    [said] = gather([folder(tmp_path / "x", {"r": A}), folder(tmp_path / "y", {"r": B})]).verdicts
    assert said.endswith(f"significantly higher than x ({AT} 1 test).")


def test_identical_folders_are_said_to_be_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    same = [folder(tmp_path / name, {"r": A}) for name in ("x", "y", "z")]
    main(["compare", *map(str, same)])
    out = capsys.readouterr().out
    assert "Equal on every item, so not tested again: y (as x), z (as x)." in out
    [said] = gather(same).verdicts
    assert said == (
        f"x has the highest accuracy on d, {np.mean([*A['accuracy'].values()]):.4f}. "
        "Equal on every item, so not tested again: y (as x), z (as x)."
    )
