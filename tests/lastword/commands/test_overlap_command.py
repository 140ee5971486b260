"""The command train overlap: its table, its report as JSON, and its errors."""

import json
from pathlib import Path

import pytest

from lastword.main import main

RUN = "one two three four five six seven eight"


@pytest.fixture
def paths(tmp_path: Path) -> tuple[str, str]:
    """Training texts, and labelled sentences of which one has eight words of them."""
    training, against = tmp_path / "train.jsonl", tmp_path / "cr.tsv"
    training.write_text(json.dumps({"id": "t1", "text": f"So {RUN.upper()}!"}) + "\n")
    against.write_text(f"label\ttext\n1\t{RUN} nine\n0\tthree four\n0\tsix five\n")
    return str(training), str(against)


def test_report_as_json(
    paths: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "overlap.json"
    given = ["train", "overlap", paths[0], "--against", paths[1], "--json", "--out", str(out)]
    assert main(given) == 0
    report = json.loads(capsys.readouterr().out)
    assert report == json.loads(out.read_text(encoding="utf-8"))
    assert (report["n"], report["training"], report["passed_over"]) == (8, [paths[0]], [])
    assert (report["training_texts"], report["training_words"]) == (1, 9)
    assert (report["evaluation_ngrams"], report["training_ngrams"]) == (2, 2)
    assert report["overlaps"] == [
        {
            "dataset": "cr",
            "kind": "sentence",
            "texts": 3,
            "shorter": 2,
            "shorter_found": 1,
            "touched": 1,
            "half": 1,
            "longest": 8,
            "worst": [
                {
                    "id": "row 1",
                    "words": 9,
                    "share": 0.5,
                    "run_words": 8,
                    "run": RUN,
                    "training": {"file": paths[0], "line": 1, "id": "t1", "field": "text"},
                }
            ],
        }
    ]


def test_people_see_counts_and_the_longest_run(
    paths: tuple[str, str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    assert main(["train", "overlap", paths[0], "--against", paths[1]]) == 0
    shown = capsys.readouterr()
    lines = shown.out.splitlines()
    assert max(map(len, lines)) <= 100
    assert any(line.split() == ["cr", "sentence", *"32111", "8", "words"] for line in lines)
    assert any("8 of 9" in line and "train.jsonl:1" in line for line in lines)
    assert "1 training text of 9 words" in shown.err


def test_no_run_of_nine_words(paths: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    given = ["train", "overlap", paths[0], "--against", paths[1], "--n", "9", "--json"]
    assert main(given) == 0
    (held,) = json.loads(capsys.readouterr().out)["overlaps"]
    assert (held["touched"], held["longest"], held["worst"]) == (0, 0, [])


def test_errors_are_one_line(paths: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    for given, said in (
        (["absent.jsonl", "--against", paths[1]], "No such file or directory: absent.jsonl"),
        ([paths[0], "--against", "absent"], "neither a path here nor a BEIR name"),
        ([paths[0], "--against", paths[1], "--out", "no/such.json"], "no is no folder"),
    ):
        assert main(["train", "overlap", *given]) == 2
        shown = capsys.readouterr()
        assert said in shown.err
        assert shown.err.count("\n") == 1
        assert not shown.out
