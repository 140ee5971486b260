"""The library ranks as the commands do, by README's snippets; what is unfinished says so."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import lastword
from embedder.encoders.bm25 import BM25Encoder
from embedder.encoders.load import load_encoder
from embedder.encoders.specs import spec_of
from index.documents import Document
from index.folder import Index
from lastword.main import main
from retrieval.build import build_index
from retrieval.options import BuildOptions
from retrieval.retriever import Retriever
from tests.folders import ROOT

README = ROOT / "README.md"
QUERY = "how do I rotate a key"
DOCUMENTS = [
    Document("keys", "Keys", "Rotate a key every month, and keep the old keys for a year."),
    Document("locks", "Locks", "How to turn a lock that is stuck: oil it."),
    Document("wheels", "", "Rotate the wheels of a car every ten thousand miles."),
    Document("music", "Music", "The key of a song is a matter of its singer."),
    Document("zx", "", "ZX81Q is the number of the part."),
]
ENCODERS = {"bm25": BM25Encoder()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("python")
    lines = [json.dumps({"_id": one.id, "title": one.title, "text": one.text}) for one in DOCUMENTS]
    (folder / "documents.jsonl").write_text("\n".join(lines))
    assert (
        main(["index", str(folder / "documents.jsonl"), "-o", str(folder / "my.index"), "-q"]) == 0
    )
    return folder


def said(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, Any]:
    assert main([*map(str, arguments), "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_readmes_snippets_rank_as_the_command_does(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """They left out BM25 and weighed alike, and so ranked otherwise."""
    monkeypatch.chdir(folder)
    text = README.read_text(encoding="utf-8").partition("## From Python")[2]
    blocks = re.findall(r"```python\n(.*?)```", text.partition("\n## ")[0], re.DOTALL)
    assert len(blocks) == 2
    hits = said(capsys, "search", "my.index", QUERY)["hits"]
    expected: dict[str, Any] = {
        "q1": {hit["id"]: pytest.approx(hit["score"], abs=1e-6) for hit in hits}
    }
    for block in blocks:
        names: dict[str, Any] = {"documents": iter(DOCUMENTS)}
        exec(block, names)
        assert names["run"] == expected and list(names["run"]["q1"]) == list(expected["q1"])


def test_the_page_about_python_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    page = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len(blocks) == 6
    names: dict[str, Any] = {}
    for block in blocks:
        exec(block, names)


def test_the_only_document_with_a_rare_word_is_found_first(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for fusion in ("auto", "minmax", "zscore", "rrf"):
        found = said(capsys, "search", folder / "my.index", "ZX81Q", "--fusion", fusion)
        assert found["hits"][0]["id"] == "zx", fusion


def test_an_index_is_opened_with_some_of_its_channels_and_another_fusion(folder: Path) -> None:
    with lastword.open_retriever(folder / "my.index", ["bm25", "dense"], "rrf") as retriever:
        assert list(retriever.encoders) == ["bm25", "dense"] and retriever.fusion == "rrf"
    with pytest.raises(ValueError, match="takes some of the index's dense,sparse,bm25, each once"):
        lastword.open_retriever(folder / "my.index", ["words"]).__enter__()


def interrupted(at: int) -> Iterator[Document]:
    yield from DOCUMENTS[:at]
    raise KeyboardInterrupt


def test_an_unfinished_index_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It answered "Nothing found" without a word."""
    (tmp_path / "a b.jsonl").write_text('{"_id": "x", "title": "", "text": "rotate a key"}\n')
    place = tmp_path / "an index"
    with pytest.raises(KeyboardInterrupt):
        build_index(interrupted(2), ENCODERS, place, BuildOptions(segment_documents=1))
    with Index.open(place) as index, pytest.warns(UserWarning, match="is not finished, it holds 2"):
        assert Retriever(index, ENCODERS).search({"q": "wheels"}, 3) == {"q": {}}
    main(["index", str(tmp_path / "a b.jsonl"), "-o", str(tmp_path / "i"), "--channels", "bm25"])
    _interrupt(tmp_path / "i")
    capsys.readouterr()
    assert main(["search", str(tmp_path / "i"), "key"]) == 0
    out, err = capsys.readouterr()
    assert "is not finished: 1 document can be found so far; give the command" in err
    assert f"of the interrupted add again, lastword add {tmp_path / 'i'} SOURCE." in err
    assert "rotate a key" in out
    assert said(capsys, "search", tmp_path / "i", "nothing like it")["unfinished"] is True
    main(["search", str(tmp_path / "i"), "nothing like it", "-q"])
    assert capsys.readouterr().out.startswith("Nothing found: ")


def _interrupt(place: Path) -> None:
    """Leave an addition behind that was interrupted before its first segment."""
    from index.manifest import Ingest
    from index.writer import IndexWriter
    from retrieval.source import EMPTY_DIGEST

    with IndexWriter(place) as writer:
        writer.record(Ingest("add", BuildOptions().settings(None), EMPTY_DIGEST))
        writer.commit()


def test_documents_of_another_type_leave_no_folder(tmp_path: Path) -> None:
    for wrong in ({"id": "x", "text": "y"}, "a string", None):
        with pytest.raises(
            TypeError, match=rf"item 3 of the source is of type {type(wrong).__name__}"
        ):
            build_index([*DOCUMENTS[:2], wrong], ENCODERS, tmp_path / "i")  # type: ignore[list-item]
        assert not (tmp_path / "i").exists()


@pytest.mark.parametrize("channels", [["dense", "sparse"], ["sparse"]])
def test_an_index_that_is_built_from_python_is_searched_by_the_command(
    tmp_path: Path, llama: Path, channels: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """It kept no word of its encoders, and every command refused it."""
    encoder = load_encoder(llama, "promptreps", channels=channels)
    encoders = {**dict.fromkeys(channels, encoder), "bm25": load_encoder("bm25:german")}
    path = tmp_path / "own.index"
    build_index(DOCUMENTS, encoders, path)
    with Index.open(path) as index:
        expected = Retriever(index, encoders).search({"q": QUERY}, 10)["q"]
    hits = said(capsys, "search", path, QUERY)["hits"]
    assert [(hit["id"], hit["score"]) for hit in hits] == list(expected.items())
    with lastword.open_retriever(path) as retriever:
        assert retriever.search({"q": QUERY}, 10)["q"] == expected
        remade = {name: spec_of(one) for name, one in retriever.encoders.items()}
        assert remade == {name: spec_of(one) for name, one in encoders.items()}
    assert said(capsys, "explain", path, QUERY, hits[0]["id"])["score"] == hits[0]["score"]
    assert said(capsys, "info", path)["channels"]["bm25"]["recipe"]["language"] == "german"
    (tmp_path / "more.jsonl").write_text('{"_id": "new", "text": "Rotate the crop."}\n')
    assert main(["add", str(path), str(tmp_path / "more.jsonl"), "-q"]) == 0
