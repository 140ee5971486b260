"""Damage, a full disk and second writers: named at once, and nothing is lost."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from index.folder import Index, check
from index.manifest import ChannelSpec, Ingest
from index.manifest_file import FORMAT
from index.writer import IndexWriter
from lastword.main import main
from retrieval.build import add_documents
from tests.index.test_folder import BOTH, build
from tests.synthetic import documents

FULL = """
import resource, signal, sys
from embedder.encoders.bm25 import BM25Encoder
from lastword.main import main
from retrieval.build import add_documents
from tests.synthetic import SignEncoder, documents
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)
try:
    encoders = {"dense": SignEncoder(), "bm25": BM25Encoder()}
    add_documents(documents(600, start=1000), encoders, sys.argv[1])
except OSError as error:
    sys.exit(str(error))
"""


def test_what_is_not_committed_is_dropped(tmp_path: Path) -> None:
    path = build(tmp_path / "i")
    before = (path / "manifest.json").read_bytes()
    with IndexWriter(path) as writer:
        writer.delete(["d1"])
        writer.merge()
    assert (path / "manifest.json").read_bytes() == before
    with Index.open(path) as index:
        assert index.documents == 100


def test_a_second_writer_is_refused_at_once(tmp_path: Path) -> None:
    path = build(tmp_path / "i")
    with (
        IndexWriter(path),
        pytest.raises(BlockingIOError, match=f"by process {os.getpid()}; an index has one writer"),
        IndexWriter(path),
    ):
        pass
    with IndexWriter(path):  # the lock was given back
        pass


def test_a_writer_of_nothing_leaves_no_trace(tmp_path: Path) -> None:
    with (
        pytest.raises(FileNotFoundError, match="there is no index at"),
        IndexWriter(tmp_path / "x"),
    ):
        pass
    assert list(tmp_path.iterdir()) == []
    spec = ChannelSpec("dense", "dense", "{}", factory="Flat")
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "dear.txt").write_text("x")
    with (
        pytest.raises(ValueError, match=r"is not empty: it holds 'dear.txt'"),
        IndexWriter(tmp_path / "letters", [spec]),
    ):
        pass
    assert [file.name for file in (tmp_path / "letters").iterdir()] == ["dear.txt"]
    with pytest.raises(OSError), IndexWriter(tmp_path / "letters/dear.txt/x", [spec]):
        pass


def test_every_damaged_file_is_named(tmp_path: Path) -> None:
    path = build(tmp_path / "i")
    with IndexWriter(path) as writer:
        writer.delete(["d1"])
        writer.commit()
    files = [file for file in sorted(path.glob("segments/**/*")) if file.is_file()]
    assert {file.name for file in files} >= {"documents.sqlite", "vectors.npy", "owner.npy"}
    for file in files:
        whole = file.read_bytes()
        file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        assert [file.name in problem for problem in check(path)] == [True], file
        file.write_bytes(whole[:-1])
        with pytest.raises(ValueError, match=f"{file} is damaged: expected {len(whole)} bytes"):
            Index.open(path)
        assert any(str(file) in problem for problem in check(path))
        file.unlink()
        with pytest.raises(ValueError, match=r"is damaged: .*file of the index is missing"):
            Index.open(path)
        file.write_bytes(whole)
        assert check(path) == []


def test_a_damaged_manifest_is_told_from_a_foreign_folder(tmp_path: Path) -> None:
    path = build(tmp_path / "i")
    manifest = path / "manifest.json"
    whole = manifest.read_text()
    manifest.write_text(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"manifest.json is damaged"):
        Index.open(path)
    manifest.write_text(whole.replace('"generation": 4', '"generation": 5'))
    with pytest.raises(ValueError, match="checksum does not fit"):
        Index.open(path)
    manifest.write_text(json.dumps({**json.loads(whole), "format": FORMAT + 1}))
    with pytest.raises(ValueError, match=f"has index format {FORMAT + 1}; this version reads"):
        Index.open(path)
    assert len(check(path)) == 1
    manifest.write_text(json.dumps({**json.loads(whole), "format": 1}))
    with pytest.raises(ValueError, match=r"format 1; .* again, into another folder"):
        add_documents(documents(1, start=1000), BOTH, path)
    manifest.unlink()
    with pytest.raises(ValueError, match="is not an index"):
        Index.open(path)
    with pytest.raises(FileNotFoundError, match="there is no index at"):
        Index.open(path / "none")


@pytest.mark.parametrize("limit", [40_000, 80_000, 5_000])
def test_a_full_disk_loses_nothing(tmp_path: Path, limit: int) -> None:
    path = build(tmp_path / "i")
    before = (path / "manifest.json").read_bytes()
    command = [sys.executable, "-c", FULL, str(path), str(limit)]
    ran = subprocess.run(command, capture_output=True, text=True)
    assert ran.returncode == 1
    assert "File too large" in ran.stderr or "disk I/O error" in ran.stderr, ran.stderr
    assert str(path / "segments") in ran.stderr
    assert ran.stderr.count("\n") == 1
    assert (path / "manifest.json").read_bytes() == before
    assert check(path) == []
    add_documents(documents(60, start=1000), BOTH, path)
    with Index.open(path) as index:
        assert index.documents == 160


def test_an_index_that_is_not_finished_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It once answered "Nothing found" without a word."""
    (tmp_path / "d.jsonl").write_text('{"_id": "a", "text": "green tea"}\n')
    path = tmp_path / "i"
    assert main(["index", str(tmp_path / "d.jsonl"), "-o", str(path), "--channels", "bm25"]) == 0
    with IndexWriter(path) as writer:
        writer.record(Ingest("add", "{}", "x", documents=1))
        writer.commit()
    capsys.readouterr()
    assert main(["search", str(path), "tea"]) == 0
    said = capsys.readouterr().err
    assert "is not finished: 1 document can be found so far" in said
    assert "command of the interrupted add again" in said
