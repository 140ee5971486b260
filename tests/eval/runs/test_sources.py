"""Systems are compared on the same data, or the comparison says on which not."""

from pathlib import Path

import pytest

from eval.measures.measures import Values
from eval.runs.record import Record, RunCost
from eval.runs.run_folder import CONFIG, RunFolder
from eval.runs.sources import SourceDifference, source_differences
from eval.runs.systems import FolderSystem
from lastword.main import FAILED, main

VALUES: Values = {"AP": {"q1": 0.5, "q2": 0.25}}
SOURCE = {"documents": "d0", "judgements": "j0"}


def system(folder: Path, source: object, benchmark: str = "retrieval") -> FolderSystem:
    """Keep a record of one data set in a run folder; no source is a record of before."""
    details = {} if source is None else {"source": source}
    record = Record(
        "sts" if benchmark == "sts" else "retrieval",
        "set",
        {"dense": VALUES},
        "dense",
        {"dense": "{}"},
        RunCost({}, {}, 0),
        details,
    )
    record.write(folder)
    (folder / CONFIG).write_text("{}")
    return FolderSystem(folder.name, RunFolder.open(folder))


def test_other_documents_and_judgements_are_named(tmp_path: Path) -> None:
    systems = [
        system(tmp_path / "before", None),
        system(tmp_path / "a", SOURCE),
        system(tmp_path / "same", SOURCE),
        system(tmp_path / "b", SOURCE | {"documents": "d1"}),
        system(tmp_path / "c", {"documents": "d2", "judgements": "j1"}),
    ]
    assert source_differences(systems, "set") == [
        SourceDifference("set", ("a", "b"), ("documents",)),
        SourceDifference("set", ("a", "c"), ("documents", "judgements")),
    ]


def test_pairs_by_number_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Pair 1 of one file was compared with pair 1 of another; nothing said that they differ."""
    for name, digest in (("a", "p0"), ("b", "p1")):
        system(tmp_path / name, {"pairs": digest}, "sts")
    assert main(["compare", str(tmp_path / "a"), str(tmp_path / "b")]) == FAILED
    error = capsys.readouterr().err
    assert "a and b were judged on different pairs of set" in error and error.count("\n") == 1


def test_a_report_says_once_that_data_differ(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A report of pairs of different files said nothing of it."""
    folders = [tmp_path / name for name in ("a", "b")]
    for folder, digest in zip(folders, ("p0", "p1"), strict=True):
        system(folder, {"pairs": digest}, "sts")
    out = str(tmp_path / "page.html")
    assert main(["report", *map(str, folders), "-o", out, "--no-words"]) == 0
    assert "set: a and b were judged with different pairs; the" in capsys.readouterr().err
    assert main(["report", str(folders[0]), "-o", out, "--no-words"]) == 0
    assert not capsys.readouterr().err
