"""index and add of people's files, and the same from Python: several at once, and what they say."""

import io
import json
import sys
from pathlib import Path

import pytest

import lastword as lw
from benchmarks.sources_files import pdf, zipped
from lastword.main import main
from tests.eval.tasks.test_beir import write_collection


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    folder = tmp_path / "notes"
    folder.mkdir()
    (folder / "tea.md").write_text("# Tea\n\ngreen tea from the hills")
    (folder / "lava.pdf").write_bytes(pdf("hot lava"))
    (folder / "old.zip").write_bytes(zipped({"glass.txt": b"black glass"}))
    (folder / "bad.jsonl").write_text('{"id": "row", "text": "a row"}\n{broken\n')
    (folder / "empty.txt").touch()
    return folder


def ids(index: Path) -> list[str]:
    with lw.open(index) as engine:
        return engine.ids()


def test_one_bad_file_of_a_folder_loses_no_other(
    notes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "x.index"
    asked = ["index", str(notes), "-o", str(out), "--channels", "bm25"]
    assert main([*asked, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["passed_over"] == {"empty": 1, "unreadable": 1}
    named = {each["name"]: each["reason"] for each in facts["skipped"]}
    assert "not JSON" in named[f"{notes}/bad.jsonl:2"] and f"{notes}/empty.txt" in named
    assert ids(out) == ["row", "lava.pdf", "old.zip/glass.txt", "tea.md"]
    with lw.open(out) as engine:
        assert engine.get("lava.pdf").metadata == {"pages": [0]}
    assert main([*asked[:3], str(tmp_path / "y.index"), *asked[4:], "--verbose"]) == 0
    told = capsys.readouterr().err
    assert "Skipped 1 text without words." in told and "bad.jsonl:2: expected one JSON" in told
    assert main([*asked[:3], str(tmp_path / "z.index"), *asked[4:], "--on-error", "stop"]) == 2
    assert "bad.jsonl:2: expected one JSON object a line" in capsys.readouterr().err


def test_an_archive_that_is_named_loses_no_member_to_another(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An empty member stopped the command, since the archive was given by name."""
    members = {"a.txt": b"green tea", "b.txt": b"", "c.pdf": b"%PDF", "d.jsonl": b"{broken"}
    (tmp_path / "a.zip").write_bytes(zipped(members))
    asked = ["index", str(tmp_path / "a.zip"), "--channels", "bm25", "--json", "-o"]
    assert main([*asked, str(tmp_path / "x.index")]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["documents"], facts["passed_over"]) == (1, {"empty": 1, "unreadable": 2})
    assert main([*asked, str(tmp_path / "y.index"), "--on-error", "stop"]) == 2
    assert "a.zip/b.txt" in capsys.readouterr().err


def test_several_sources_in_one_command(
    notes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    beir, out = write_collection(tmp_path / "tiny"), tmp_path / "x.index"
    sources = [str(notes / "tea.md"), str(beir), str(notes / "*.zip")]
    assert (
        main(["index", *sources, "-o", str(out), "--channels", "bm25", "--on-empty", "skip"]) == 0
    )
    assert ids(out)[:2] == ["tea.md", "old.zip/glass.txt"] and len(ids(out)) > 2
    piped = io.TextIOWrapper(io.BytesIO(b'{"key": "p1", "body": "piped"}\n'))
    monkeypatch.setattr(sys, "stdin", piped)
    assert main(["add", str(out), "-", "--id", "key", "-q"]) == 0
    assert ids(out)[-1] == "p1"
    assert main(["add", str(out), str(notes), "--include", "*.pdf", "-q"]) == 0
    assert ids(out)[-1] == "lava.pdf"
    capsys.readouterr()
    assert main(["add", str(out), str(notes / "bad.jsonl")]) == 2  # it was named
    assert "bad.jsonl:2" in capsys.readouterr().err


def test_the_same_from_python(notes: Path) -> None:
    with pytest.warns(UserWarning, match="skipped 1 text that could not be read"):
        index = lw.build(None, str(notes), model="bm25")
    assert index.search("lava", k=1)[0].id == "lava.pdf"
    source = lw.read_sources([notes], lw.SourceOptions(include=("*.md", "*.zip")))
    assert lw.build(None, source, model="bm25").ids() == ["old.zip/glass.txt", "tea.md"]
    with pytest.raises(ValueError, match="links is follow or skip"):
        lw.SourceOptions(links="no")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"holds no documents that can be read: .*empty\.txt"):
        lw.build(None, lw.read_sources(notes, lw.SourceOptions(include=("empty.txt",))), "bm25")
