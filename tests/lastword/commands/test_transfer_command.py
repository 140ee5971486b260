"""The command eval transfer: what it prints, keeps, resumes and refuses."""

import json
from pathlib import Path

import pytest

from eval.runs.record import Record
from lastword.main import FAILED, main

WORDS = {"1": "good fine lovely great sweet".split(), "0": "bad poor ugly awful sour".split()}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two tasks: sentences to be cross-validated, and pairs with a test part."""
    lines = [
        f"{label}\ta {word} {thing}"
        for thing in ("film", "cake", "song")
        for label, words in WORDS.items()
        for word in words
    ]
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "mood.tsv").write_text("\n".join(["label\ttext", *lines]))
    pairs = [f"{int(a == b)}\ta {x}\tthe {y}" for a in "01" for b in "01" for x, y in _two(a, b)]
    for part in ("train", "test"):
        text = "\n".join(["label\tsentence1\tsentence2", *pairs])
        (folder / f"same-{part}.tsv").write_text(text)
    return folder


def _two(first: str, second: str) -> list[tuple[str, str]]:
    return [(x, y) for x in WORDS[first][:3] for y in WORDS[second][2:]]


def test_tasks_are_judged_kept_and_not_judged_again(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    asked = ["eval", "transfer", str(data), "--folds", "3", "--out", str(out)]
    assert main([*asked, "--json"]) == 0
    mood, same = json.loads(capsys.readouterr().out)
    assert (mood["dataset"], same["dataset"]) == ("mood", "same")
    assert mood["items"] == 30 and mood["protocol"]["folds"] == 3 and mood["prompt"] == "tiny"
    assert same["protocol"]["features"] == "|u-v|, u*v" and 0 <= same["f1"] <= 1
    assert mood["counts"]["dense"]["texts"] == 30 and same["counts"]["dense"]["texts"] == 12
    kept = Record.read(out / "mood.json")
    assert kept.measures == mood["measures"] and kept.size == 30
    assert set(kept.main["accuracy"].values()) <= {0.0, 1.0}

    written = (out / "mood.json").stat().st_mtime_ns
    (out / "same.json").unlink()
    assert main([*asked, "--resume"]) == 0
    shown = capsys.readouterr()
    assert (out / "mood.json").stat().st_mtime_ns == written
    assert Record.read(out / "same.json").main == Record.from_json(same | _values(out)).main
    assert "1 of the tasks were finished" in shown.err and "papers have 10" in shown.err
    assert "mean of 2" in shown.out and f"{100 * mood['measures']['accuracy']:.2f}" in shown.out


def _values(out: Path) -> dict[str, object]:
    held = json.loads((out / "same.json").read_text())
    return {name: held[name] for name in ("values", "latencies_ms")}


def test_results_of_other_folds_are_not_mixed(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["eval", "transfer", str(data / "mood.tsv"), "--out", str(tmp_path / "run")]
    assert main([*asked, "--folds", "2", "--quiet"]) == 0
    assert main([*asked, "--folds", "3", "--resume"]) == FAILED
    err = capsys.readouterr().err
    assert "holds results of other settings (folds: it has 2, now 3)" in err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["mood.tsv", "--folds", "20"], "mood: 15 with label '0' are too few for 20 folds"),
        (["same-train.tsv"], "same: expected one file same.tsv, or same-train.tsv with"),
        (["gone.tsv"], "No such file or directory: "),
        (["mood.tsv", "--channels", "bm25"], "leave out --channels bm25"),
        (["mood.tsv", "--resume"], "--resume goes on in a run folder; give it as --out"),
    ],
)
def test_what_cannot_be_judged_is_one_line(
    options: list[str], said: str, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["eval", "transfer", str(data / options[0]), *options[1:]]) == FAILED
    err = capsys.readouterr().err
    assert said in err and err.count("\n") == 1
