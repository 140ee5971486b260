"""What weights may be chosen on: development judgements, and nothing that is reported."""

import json
from pathlib import Path

import pytest

from eval.data.qrels import write_qrels
from eval.fusion.development import Development, judged_by_dataset, judged_by_file

RUNS = {"a": {"q1": {"d1": 1.0}, "extra": {"d1": 1.0}}, "b": {"q1": {"d2": 1.0}, "q2": {"d1": 2.0}}}
QRELS = {"q1": {"d1": 1}, "q2": {"d1": 0}, "q3": {"d9": 2}}


@pytest.mark.parametrize(
    "name",
    [
        "test.tsv",
        "my-test.qrels",
        "scifact.qrels",
        "cqadupstack-tex.qrels",
        "msmarco/qrels/dev.tsv",
    ],
)
def test_judgements_of_a_test_are_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    write_qrels(QRELS, path)
    with pytest.raises(ValueError, match="figures are reported on"):
        judged_by_file(RUNS, path)


def test_judgements_beside_a_record_of_a_test_are_refused(tmp_path: Path) -> None:
    write_qrels(QRELS, tmp_path / "mine.qrels")
    assert judged_by_file(RUNS, tmp_path / "mine.qrels").qrels == QRELS
    record = {
        **{"benchmark": "retrieval", "dataset": "mine", "counted": "a", "seconds": {}},
        **{"counts": {}, "peak_bytes": 0, "latencies_ms": [], "fingerprint": {}},
        "values": {"a": {"nDCG@10": {"q1": 1.0}}},
    }
    (tmp_path / "mine.json").write_text(json.dumps(record))
    with pytest.raises(ValueError, match="mine is the split that figures are reported on"):
        judged_by_file(RUNS, tmp_path / "mine.qrels")


def test_a_dataset_judges_by_another_split_than_test(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    (folder / "qrels").mkdir(parents=True)
    (folder / "corpus.jsonl").write_text('{"_id": "d1", "title": "", "text": "tea"}\n')
    (folder / "queries.jsonl").write_text('{"_id": "q1", "text": "tea"}\n')
    for split in ("train", "test"):
        (folder / "qrels" / f"{split}.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td1\t1\n")
    development = judged_by_dataset(RUNS, str(folder), "train")
    assert (development.dataset, development.qrels) == ("mine/train", {"q1": {"d1": 1}})
    with pytest.raises(ValueError, match="mine is the split"):
        judged_by_dataset(RUNS, str(folder), "test")


def test_queries_that_are_odd_are_counted() -> None:
    development = Development("mine/dev", RUNS, QRELS)
    assert (development.unanswered, development.part_answered) == (1, 1)
    assert (development.without_relevant, development.unjudged) == (1, 1)
