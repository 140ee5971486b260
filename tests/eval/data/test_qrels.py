"""Judgements in files: TREC's and BEIR's, in whatever state other programs leave them."""

from pathlib import Path

import pytest

from eval.data.qrels import LARGEST_GAIN, read_qrels, write_qrels
from eval.measures.measures import evaluate

JUDGED = {"q 1": {"d 1": 2, "d2": 0}}


def test_judgements_go_to_a_file_and_back(tmp_path: Path) -> None:
    qrels = {"q1": {"d1": 2, "d2": 0}, "q2": {"d1": -1}}
    assert write_qrels(qrels, tmp_path / "a.qrels") == 0
    assert (tmp_path / "a.qrels").read_text() == "q1 0 d1 2\nq1 0 d2 0\nq2 0 d1 -1\n"
    assert read_qrels(tmp_path / "a.qrels") == qrels


def test_ids_with_white_space_are_escaped_and_come_back(tmp_path: Path) -> None:
    """`devset` on an index of a folder failed at its last line, after the work was done."""
    assert write_qrels(JUDGED, tmp_path / "a.qrels") == 2
    assert (tmp_path / "a.qrels").read_text() == "q%201 0 d%201 2\nq%201 0 d2 0\n"
    assert read_qrels(tmp_path / "a.qrels") == JUDGED
    with pytest.raises(ValueError, match="not empty"):
        write_qrels({"q1": {"": 2}}, tmp_path / "b.qrels")


@pytest.mark.parametrize(
    "text",
    [
        "query-id\tcorpus-id\tscore\nq 1\td 1\t2\nq 1\td2\t0\n",
        "q 1\td 1\t2\nq 1\td2\t0\n",
        "\ufeffquery_id\tdoc_id\trelevance\r\n\r\n q 1\td 1 \t 2.0\r\nq 1\td2\t0\r\n",
        "q 1\td 1\t2\nquery-id\tcorpus-id\tscore\n\ufeffq 1\td2\t0",
        "q 1\t0\td 1\t2\nq 1\tQ0\td2\t0\n",
        "q%201 0 d%201 +2\nq%201 0 d2 0e0\n",
    ],
    ids=["BEIR", "no header", "marks, padding", "two files in one", "TREC by tabs", "escaped"],
)
def test_the_same_judgements_in_many_forms(tmp_path: Path, text: str) -> None:
    """A table without its header, a padded id or the gain 1.0 were read by one command only."""
    path = tmp_path / "x.tsv"
    path.write_bytes(text.encode())
    assert read_qrels(path) == JUDGED


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("q1 0 d1 1\nq1 0 d2\n", r":2: expected query 0 document gain"),
        ("q1 0 d1 1.5\n", ":1: expected a whole-number gain .* got '1.5'"),
        ("q1 0 d1 nan\n", ":1: expected a whole-number gain"),
        ("q1 0 d1 1_0\n", ":1: expected a whole-number gain"),
        ("q1 0 d1 1e20\n", ":1: expected a whole-number gain of at most"),
        ("q1 0 d1 3000000000\n", ":1: expected a whole-number gain of at most"),
        (f"q1 0 d1 {'9' * 5000}\n", ":1: expected a whole-number gain of at most"),
        ("q1 0 d1 1\nq1 0 d1 2\n", ":2: document 'd1' of query 'q1' was judged 1, here 2"),
        ("q1\td1\t1\nq1\t0\td1\t1\n", ":2: expected query id, document id"),
        ("\td1\t1\n", ":1: expected query id, document id"),
        ("q1\td1\trelevance\n", ":1: expected a whole-number gain"),
        ("query-id\tcorpus-id\tscore\n", "holds no judgements"),
        ("\n", "holds no judgements"),
        ("q1 0 d1 1\0\n", ":1: .*NUL"),
        ("q1 0 d1 1\rq1 0 d2 1\n", ":1: a carriage return"),
    ],
)
def test_a_broken_judgement_is_named(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "bad.qrels").write_text(text, newline="")
    with pytest.raises(ValueError, match=rf"bad\.qrels ?{told}"):
        read_qrels(tmp_path / "bad.qrels")


def test_a_gain_that_would_fill_memory_is_refused_before_trec_eval_sees_it() -> None:
    """A time stamp as gain: trec_eval made a table of 24 GB, and the kernel killed the process."""
    run = {"q": {"d": 1.0}}
    assert evaluate(run, {"q": {"d": LARGEST_GAIN}}, ["nDCG@10"]) == {"nDCG@10": {"q": 1.0}}
    with pytest.raises(ValueError, match="document 'd' of query 'q' has 3000000000"):
        evaluate(run, {"q": {"d": 3_000_000_000}}, ["nDCG@10"])
