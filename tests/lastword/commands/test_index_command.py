"""What the command index refuses, when it does, and what it leaves behind."""

import json
from pathlib import Path

import pytest

from index.folder import Index
from lastword.main import main
from tests.models import save_llama

Capture = pytest.CaptureFixture[str]


def write_documents(path: Path, ids: list[str]) -> Path:
    lines = [json.dumps({"_id": name, "text": f"Tea {name} is steeped."}) for name in ids]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    return write_documents(tmp_path / "corpus.jsonl", ["a", "b"])


def failure(capsys: Capture, corpus: Path, out: Path, *options: str) -> str:
    """Return the one line of an index that cannot be made."""
    capsys.readouterr()
    assert main(["index", str(corpus), "-o", str(out), *options]) == 2
    line = capsys.readouterr().err
    assert line.startswith("lastword: ") and line.count("\n") == 1
    return line


def test_a_finished_index_is_refused_before_a_model_is_loaded(
    corpus: Path, tmp_path: Path, capsys: Capture
) -> None:
    """It took the seconds of loading a model, or hours of a download, to hear that."""
    out = tmp_path / "held.index"
    assert main(["index", str(corpus), "-o", str(out), "--channels", "bm25"]) == 0
    assert "holds a complete index" in failure(capsys, corpus, out, "--model", "no/such/model")
    with Index.open(out) as index:
        assert [document.id for document in index.stream()] == ["a", "b"]


def test_a_model_with_an_impossible_number_is_named_and_leaves_no_index(
    corpus: Path, tmp_path: Path, capsys: Capture
) -> None:
    """A negative rope_theta left an unfinished index, and the error named no folder."""
    folder = save_llama(tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    config["rope_parameters"] = {"rope_type": "default", "rope_theta": -1.0}
    (folder / "config.json").write_text(json.dumps(config))
    out = tmp_path / "new.index"
    said = failure(capsys, corpus, out, "--model", str(folder))
    assert str(folder) in said and "rope_theta" in said
    assert not out.exists()


def test_a_build_that_fails_on_its_first_documents_leaves_no_folder(
    tmp_path: Path, capsys: Capture
) -> None:
    twice = write_documents(tmp_path / "twice.jsonl", ["a", "a"])
    out = tmp_path / "new.index"
    assert "comes twice" in failure(capsys, twice, out, "--channels", "bm25")
    assert not out.exists()


def test_passages_are_said_in_a_line_and_refused_before_a_model_is_loaded(
    corpus: Path, tmp_path: Path, capsys: Capture
) -> None:
    corpus.write_text(json.dumps({"_id": "long", "text": "Tea is steeped. " * 40}) + "\n")
    out, words = tmp_path / "i", ("--channels", "bm25")
    for options, said in (
        (("--passages", "pages", "--model", "no/such"), "passages are auto, off, headings"),
        (("--passages", "words:0", "--model", "no/such"), "at least 1 of its words"),
        (("--passages", "off", "--passage-words", "9", *words), "an older --passages words:N"),
        (("--overlap-words", "9", *words), "--overlap-words needs --passage-words"),
        (("--passages", "tokens:9", *words), "need a model whose tokenizer is at hand"),
        (("--passages", "off", "--overlap", "9", *words), "an overlap goes with passages"),
    ):
        assert said in failure(capsys, corpus, out, *options)
        assert not out.exists()
    cut = ["index", str(corpus), "-o", str(out), *words, "--passages", "words:30"]
    assert main([*cut, "--overlap", "3"]) == 0
    said = capsys.readouterr().err
    assert "1 of 1 document was long; cut into 5 passages of at most 30 words" in said
    assert main(["info", str(out)]) == 0
    shown = capsys.readouterr().out
    assert "Documents are cut into passages of at most 30 words, which share at most 3." in shown
