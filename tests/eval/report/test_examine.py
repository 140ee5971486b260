"""Behind a comparison: pools, overlaps, furthest queries."""

from pathlib import Path

import pytest

from embedder.encoders.bm25 import BM25Encoder
from eval.data.qrels import write_qrels
from eval.measures.ranking import cut_run
from eval.report.examine import examine
from eval.report.judged_share import JudgedPool, overlap, pool
from eval.report.largest_differences import DocumentTexts, largest_differences
from eval.runs.systems import Evidence, FileSystem, gather_evidence
from eval.statistics.compare import compare
from eval.statistics.comparison import CompareOptions
from eval.statistics.paired import pair
from index.documents import Document
from retrieval.build import build_index
from retrieval.run import Run, write_trec

QRELS = {"q1": {"a": 2, "b": 0}, "q2": {"c": 1}, "q3": {"a": 1}}


def evidence(run: Run, index: Path | None = None) -> Evidence:
    return Evidence(cut_run({query: run.get(query, {}) for query in QRELS}), QRELS, {}, index)


def system(name: str, run: Run, folder: Path) -> FileSystem:
    write_qrels(QRELS, folder / "set.qrels")
    write_trec(run, folder / f"{name}.trec")
    return FileSystem.read(name, folder / f"{name}.trec", folder / "set.qrels", ["RR", "AP"])


def test_a_pool_by_hand() -> None:
    run = {
        "q1": {"a": 3.0, "b": 2.0, "x": 1.0},
        "q2": {f"d{at:02}": 1.0 if at in (9, 10) else 20.0 - at for at in range(11)},
    }
    found = pool("set", "s", evidence(run))
    assert found == JudgedPool("set", "s", queries=3, unanswered=1, documents=13, judged=2, tied=1)
    assert found.judged_share == 2 / 13
    assert found.to_json()["depth"] == 10
    assert pool("set", "s", evidence({})).judged_share is None


def test_ten_documents_have_no_tie_at_the_cut() -> None:
    run = {"q1": {f"d{at}": 1.0 for at in range(10)}, "q2": {f"d{at}": 1.0 for at in range(11)}}
    assert pool("set", "s", evidence(run)).tied == 1


def test_an_overlap_by_hand() -> None:
    first = {"q1": {"a": 3.0, "b": 2.0, "c": 1.0}, "q2": {"a": 1.0}}
    second = {"q1": {"c": 9.0, "x": 1.0}}
    found = overlap("set", ("s", evidence(first)), ("t", evidence(second)))
    assert found.systems == ("s", "t") and found.share == 1 / 4
    assert overlap("set", ("s", evidence({})), ("t", evidence({}))).share is None


def test_the_furthest_items_come_first_and_ties_never() -> None:
    held = [
        pair(
            "x", ("a", {"q1": 0.0, "q2": 1.0, "q3": 0.5}), ("b", {"q1": 0.5, "q2": 0.0, "q3": 0.5})
        ),
        pair("y", ("a", {"q1": 0.0}), ("b", {"q1": 0.75})),
    ]
    places = [
        (one.paired.dataset, one.paired.items[one.at]) for one in largest_differences(held, 10)
    ]
    assert places == [("x", "q2"), ("y", "q1"), ("x", "q1")]
    assert len(largest_differences(held, 2)) == 2 and largest_differences(held, 0) == []


def test_documents_stand_side_by_side_with_gains(tmp_path: Path) -> None:
    systems = [
        system("s", {"q1": {"x": 2.0, "b": 1.0}, "q2": {"c": 1.0}}, tmp_path),
        system("t", {"q1": {"a": 2.0, "x": 1.0}, "q2": {"c": 1.0}}, tmp_path),
    ]
    comparison = compare({one.name: one.values for one in systems})
    told = examine(systems, comparison, 10)
    [held] = told.differing
    assert (held.dataset, held.item, held.difference) == ("set", "q1", 1.0)
    assert [(found.id, found.gain) for found in held.baseline_documents] == [("x", None), ("b", 0)]
    assert [(found.id, found.gain) for found in held.system_documents] == [("a", 2), ("x", None)]
    assert [(one.system, one.unanswered) for one in told.pools] == [("s", 1), ("t", 1)]
    assert [one.share for one in told.overlaps] == [2 / 3]
    data = told.to_json()
    assert data["differing"][0]["system_documents"][0] == {"id": "a", "gain": 2, "text": ""}


def test_every_pair_is_looked_at_where_every_pair_is_compared(tmp_path: Path) -> None:
    runs: dict[str, Run] = {
        "s": {"q1": {"a": 1.0}},
        "t": {"q2": {"c": 1.0}},
        "u": {"q3": {"a": 1.0}},
    }
    systems = [system(name, run, tmp_path) for name, run in runs.items()]
    by_name = {one.name: one.values for one in systems}
    every = examine(systems, compare(by_name, "AP", CompareOptions(all_pairs=True)), 1)
    assert [one.systems for one in every.overlaps] == [("s", "t"), ("s", "u"), ("t", "u")]
    assert [(one.baseline, one.system) for one in every.differing] == [
        *(("s", "t"), ("s", "u"), ("t", "u"))
    ]
    assert len(examine(systems, compare(by_name), 1).differing) == 2


def test_texts_come_from_the_first_index_that_is_there(tmp_path: Path) -> None:
    documents = [Document("a", "Lava", "flows\ndown " + "slowly " * 100), Document("b", "", "rock")]
    build_index(documents, {"bm25": BM25Encoder()}, tmp_path / "x.index")
    with DocumentTexts([None, tmp_path / "gone.index", tmp_path / "x.index"]) as texts:
        assert texts.of("a").startswith("Lava flows down slowly") and len(texts.of("a")) <= 200
        assert (texts.of("b"), texts.of("c")) == ("rock", "")
    with DocumentTexts([tmp_path / "gone.index"]) as texts:
        assert texts.of("a") == ""


def test_other_judgements_are_refused(tmp_path: Path) -> None:
    first = system("s", {"q1": {"a": 1.0}}, tmp_path)
    other: dict[str, dict[str, int]] = {**QRELS, "q2": {"c": 3}}
    write_qrels(other, tmp_path / "set.qrels")
    second = FileSystem.read("t", tmp_path / "s.trec", tmp_path / "set.qrels", ["AP"])
    with pytest.raises(ValueError, match=r"s and t were judged by different .* of set.*'q2'"):
        gather_evidence([first, second], "set")


def test_a_run_of_other_queries_is_refused(tmp_path: Path) -> None:
    message = r"x\.trec answers no query that .* judges: its first query is 'z'.* 'q1'"
    with pytest.raises(ValueError, match=message):
        system("x", {"z": {"a": 1.0}}, tmp_path)
