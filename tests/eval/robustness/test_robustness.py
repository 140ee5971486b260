"""Figures of robustness, by hand: a search whose answers are written down."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

import lastword as lw
from eval.robustness.measure import RobustnessOptions, count_searches, measure_robustness
from lastword.main import main
from retrieval.run import Run

QUERIES = {"q1": "red tea", "q2": "東京"}
ANSWERS = {
    "red tea": {"a": 3.0, "b": 2.0, "c": 1.0},
    "tea red": {"b": 3.0, "a": 2.0, "d": 1.0},
    "RED TEA": {"a": 1.0},
    "Red Tea": {},
    "not red tea": {"a": 3.0, "b": 2.0, "c": 1.0},
    "東京": {"a": 1.0},
    "not 東京": {},
}
OPTIONS = RobustnessOptions(kinds=("order", "case", "negation"), k=3, measure="RR@10")


def search(queries: Mapping[str, str], k: int) -> Run:
    return {name: dict(list(ANSWERS[text].items())[:k]) for name, text in queries.items()}


def test_figures_by_hand() -> None:
    report = measure_robustness(search, QUERIES, {"q1": {"a": 1}}, OPTIONS)
    order, case, negation = report.kinds()
    assert (order.queries, order.tried, order.overlap, order.first_kept) == (1, 1, 2 / 3, 0)
    assert order.loss == 0.5, "the relevant document falls from the first to the second place"
    assert (case.queries, case.tried) == (1, 2)
    assert case.overlap == pytest.approx((1 / 3 + 0) / 2) and case.worst == 0
    assert case.first_kept == 0.5 and case.loss == 0.5 and case.interval is None
    assert (negation.queries, negation.overlap, negation.first_kept) == (2, 0.5, 0.5)
    assert negation.loss == 0, "of q1 alone: q2 is not judged"
    assert [one.text for one in report.worst(9)] == ["Red Tea"], "one a query, no negation"
    assert "RR@10 lost" in repr(report) and json.dumps(report.to_json())
    assert count_searches(QUERIES, OPTIONS) == len(ANSWERS)


def test_without_judgements_there_is_no_loss() -> None:
    report = measure_robustness(search, QUERIES, None, OPTIONS)
    assert all(kind.loss is None for kind in report.kinds()) and report.measure == ""
    assert "lost" not in repr(report)


def test_what_cannot_be_measured_is_one_line() -> None:
    with pytest.raises(ValueError, match="no queries"):
        measure_robustness(search, {}, None, OPTIONS)
    with pytest.raises(ValueError, match="none of 2 queries is judged"):
        measure_robustness(search, QUERIES, {"other": {"a": 1}}, OPTIONS)
    with pytest.raises(ValueError, match="tries must be at least 1"):
        RobustnessOptions(tries=0)
    with pytest.raises(ValueError, match="no measure is called"):
        RobustnessOptions(measure="nDGC@10")


def test_the_command_says_what_python_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = ["green tea is steeped", "rotate the large key at night", "a key to the tea shop"]
    lw.build(tmp_path / "i.index", texts).close()
    queries, qrels = tmp_path / "q.tsv", tmp_path / "r.tsv"
    queries.write_text("q1\thow do I rotate a large key\nq2\tgreen tea\n")
    qrels.write_text("query-id\tcorpus-id\tscore\nq1\t1\t1\nq2\t0\t1\n")
    given = [str(tmp_path / "i.index"), "--queries", str(queries), "--qrels", str(qrels)]
    assert main(["robustness", *given, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    report = lw.measure_robustness(tmp_path / "i.index", queries, qrels)
    assert told == json.loads(json.dumps(report.to_json()))
    assert [kind["kind"] for kind in told["kinds"]] == [
        "typing", "order", "case", "synonym", "negation",
    ]  # fmt: skip
    assert main(["robustness", *given, "--kinds", "case,order", "--show", "1"]) == 0
    shown = capsys.readouterr()
    assert "nDCG@10 lost" in shown.out and "as reworded" in shown.out
    assert "No query was changed by" not in shown.err
    assert main(["robustness", *given, "--kinds", "casing"]) == 2
    assert "a kind of rewording is one of" in capsys.readouterr().err
