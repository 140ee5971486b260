"""Pairs by MTEB's names, and what eval sts keeps: offline, with a task filled by hand."""

import json
from pathlib import Path
from typing import Any

import pytest

from eval.data.mteb_pairs import NAMES, open_pairs, task_pairs
from eval.data.pairs import SentencePair
from eval.runs.record import Record
from lastword.main import FAILED, main

SMALL = "score\tsentence1\tsentence2\n5\ta cat\tthe cat\n1\ta cat\tlava\n2\tlava\tthe black rock\n"


def task_by_hand() -> Any:  # noqa: ANN401
    import mteb
    from datasets import Dataset, DatasetDict

    task = mteb.get_task("STSBenchmark")
    columns = {"sentence1": ["a", "b"], "sentence2": ["c", "d"], "score": [5, 0.25]}
    task.dataset = DatasetDict(test=Dataset.from_dict(columns), train=Dataset.from_dict({}))
    task.data_loaded = True
    return task


def test_a_task_of_mteb_becomes_a_set() -> None:
    got = task_pairs(task_by_hand())
    assert got.name == "STSBenchmark"
    assert got.pairs == (SentencePair(5, "a", "c"), SentencePair(0.25, "b", "d"))


def test_names_are_those_of_mteb() -> None:
    import mteb

    for name in NAMES:
        task = mteb.get_task(name)
        assert task.metadata.type == "STS" and "test" in task.metadata.eval_splits
        assert task.column_names == ("sentence1", "sentence2")


def test_without_network_the_error_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import mteb

    task = mteb.get_task("SICK-R")

    def unreachable() -> None:
        raise ConnectionError("Couldn't reach the Hub\nmore lines")

    monkeypatch.setattr(task, "load_data", unreachable)
    monkeypatch.setattr(mteb, "get_task", lambda name: task)
    assert main(["eval", "sts", "sick-r"]) == FAILED
    err = capsys.readouterr().err
    assert err.startswith("lastword: SICK-R could not be fetched (Couldn't reach the Hub); a local")
    assert err.count("\n") == 1


def test_a_path_comes_before_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "STS12").mkdir()
    (tmp_path / "STS12/mine.tsv").write_text(SMALL)
    assert [held.name for held in open_pairs("STS12")] == ["mine"]
    with pytest.raises(ValueError, match=r"sts99 is neither a file .* MTEB's sets \(STS12, "):
        open_pairs("sts99")


def test_sets_are_kept_and_not_judged_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, out = tmp_path / "data", tmp_path / "run"
    data.mkdir()
    for name in ("one", "two"):
        (data / f"{name}.tsv").write_text(SMALL)
    asked = ["eval", "sts", str(data), "--out", str(out)]
    assert main([*asked, "--json"]) == 0
    first = json.loads(capsys.readouterr().out)
    keys = {"dataset", "measures", "pairs", "prompt", "fingerprint"}
    assert all(keys <= one.keys() for one in first)
    kept = Record.read(out / "one.json")
    assert kept.benchmark == "sts" and kept.size == 3 and list(kept.main) == ["spearman", "pearson"]
    assert kept.measures == pytest.approx(first[0]["measures"])
    assert json.loads((out / "config.json").read_text())["settings"]["benchmark"] == "sts"

    (out / "two.json").unlink()
    written = (out / "one.json").stat().st_mtime_ns
    assert main([*asked, "--resume", "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert (out / "one.json").stat().st_mtime_ns == written
    assert [one["measures"] for one in again] == [one["measures"] for one in first]


def test_two_sets_of_one_name_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "one.tsv"
    path.write_text(SMALL)
    assert main(["eval", "sts", str(path), str(path)]) == FAILED
    assert "two of the sets are called one" in capsys.readouterr().err
