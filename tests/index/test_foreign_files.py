"""An index never touches what is not its own, and trusts nothing that it reads."""

import errno
import json
import os
import resource
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from embedder.types import Role
from index.document_store import DocumentStore
from index.folder import Index, check
from index.manifest_file import MANIFEST, content_checksum
from index.storage.arrays import open_array
from index.storage.checksums import FileRecord
from index.writer import IndexWriter
from lastword.main import main
from retrieval.build import add_documents
from retrieval.retriever import Retriever
from tests.index.test_folder import BOTH, build
from tests.synthetic import documents, queries


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an index of three segments, the first with deleted documents."""
    path = build(tmp_path_factory.mktemp("whole") / "i")
    with IndexWriter(path) as writer:
        writer.delete(["d1", "d7"])
        writer.commit()
    return path


@pytest.fixture
def index(whole: Path, tmp_path: Path) -> Path:
    """Return a copy of the index that may be spoiled."""
    return Path(shutil.copytree(whole, tmp_path / "i"))


def edit(path: Path, change: Callable[[Any], None]) -> None:
    """Change a manifest and give it the checksum that fits, as a stranger could."""
    data = json.loads((path / MANIFEST).read_bytes())
    change(data["content"])
    data["checksum"] = content_checksum(data["content"])
    (path / MANIFEST).write_text(json.dumps(data))


def flip(path: Path, at: int, bit: int = 0) -> None:
    """Turn over one bit of a file."""
    data = bytearray(path.read_bytes())
    data[at] ^= 1 << bit
    path.write_bytes(data)


def add_one(path: Path) -> None:
    add_documents(documents(1, start=900), BOTH, path)


def merge(path: Path) -> None:
    with IndexWriter(path) as writer:
        writer.merge()
        writer.commit()
        writer.compact()


def delete_one(path: Path) -> None:
    with IndexWriter(path) as writer:
        writer.delete(["d9"])
        writer.commit()


@pytest.mark.parametrize("work", [add_one, merge, delete_one])
def test_a_linked_folder_of_segments_is_refused(
    index: Path, tmp_path: Path, work: Callable[[Path], None]
) -> None:
    """It once led `add` to remove whatever lay beside the segments there."""
    (tmp_path / "disk" / "photos").mkdir(parents=True)
    (tmp_path / "disk" / "000099").mkdir()
    for segment in (index / "segments").iterdir():
        segment.rename(tmp_path / "disk" / segment.name)
    (index / "segments").rmdir()
    (index / "segments").symlink_to(tmp_path / "disk")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ValueError, match="segments is a link"):
        work(index)
    with pytest.raises(ValueError, match="segments is a link"):
        Index.open(index)
    assert "segments is a link" in check(index)[0]
    assert sorted(tmp_path.rglob("*")) == before


def test_what_is_not_ours_survives_in_the_folder(index: Path, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "000001").touch()
    foreign = [
        index / "segments" / "photos" / "p.jpg",
        index / "segments" / "000001" / "notes.txt",
        index / "segments" / "000001" / "dense" / "notes.txt",
        index / "segments" / "000099" / "thesis.txt",
        index / "cache" / "mine.npz",
    ]
    for path in foreign:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (index / "segments" / "000098").symlink_to(tmp_path / "home")
    merge(index)
    assert all(path.exists() for path in foreign)
    assert (tmp_path / "home" / "000001").exists()
    assert not (index / "segments" / "000001" / "passages.npy").exists()
    assert check(index) == []


def test_locks_and_manifests_are_not_written_through_links(index: Path, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("thesis")
    (index / "lock").unlink()
    (index / "lock").symlink_to(precious)
    with pytest.raises(OSError, match="a link"):
        delete_one(index)
    (index / "lock").unlink()
    (index / f"{MANIFEST}.partial").symlink_to(precious)
    delete_one(index)
    (index / MANIFEST).rename(tmp_path / "elsewhere.json")
    (index / MANIFEST).symlink_to(tmp_path / "elsewhere.json")
    with pytest.raises(ValueError, match=r"manifest\.json is a link"):
        delete_one(index)
    assert precious.read_text() == "thesis"


def test_the_next_writer_removes_what_a_killed_one_left(index: Path) -> None:
    shutil.copytree(index / "segments" / "000001", index / "segments" / "000077")
    (index / "cache").mkdir()
    (index / "cache" / f"{'ab' * 16}.npz").touch()
    for place in (index, index / "segments" / "000001"):
        (place / ".lastword-0123456789abcdef.partial").touch()
    (index / "segments" / "000001" / "deleted-000099.npy").touch()
    delete_one(index)
    names = {path.name for path in index.rglob("*")}
    assert not names & {"000077", "cache", "deleted-000099.npy"}
    assert not [name for name in names if name.endswith(".partial")]


@pytest.mark.parametrize("name", ["bm25/codes.npy", "documents.sqlite", "dense/vectors.npy"])
def test_damage_is_not_given_a_checksum_that_fits(index: Path, name: str) -> None:
    flip(index / "segments" / "000001" / name, -3)
    before = (index / MANIFEST).read_bytes()
    with pytest.raises(ValueError, match=f"{name} is damaged: expected checksum"):
        merge(index)
    if name == "documents.sqlite":
        for work in (add_one, delete_one):
            with pytest.raises(ValueError, match=f"{name} is damaged: expected checksum"):
                work(index)
    assert (index / MANIFEST).read_bytes() == before
    assert len(check(index)) == 1


def test_a_damaged_tombstone_is_not_written_anew(index: Path) -> None:
    (tombstone,) = (index / "segments" / "000001").glob("deleted-*")
    flip(tombstone, -8, 1)
    for work in (add_one, merge, delete_one):
        with pytest.raises(ValueError, match=r"deleted-.* is damaged: expected checksum"):
            work(index)


def first(content: Any) -> Any:  # noqa: ANN401 - JSON
    return content["segments"][0]


WRONG: dict[str, Callable[[Any], Any]] = {
    "generation must be": lambda c: c.update(generation="4"),
    "generation -1": lambda c: c.update(generation=-1),
    "unknown key frobs": lambda c: c.update(frobs=1),
    "segments is missing": lambda c: c.pop("segments"),
    "must rise; got 3 before 1": lambda c: c.update(next_segment=1),
    "must rise; got 1 before 1": lambda c: c["segments"].insert(0, first(c)),
    "is no name of a segment": lambda c: first(c).update(name="home"),
    "outside the index": lambda c: first(c).update(name="../../home"),
    "lacks file 'dense/vectors.npy'": lambda c: first(c)["files"].pop("dense/vectors.npy"),
    "cannot have file 'x'": lambda c: first(c)["files"].update(x={"bytes": 1, "digest": "ab" * 32}),
    "is no tombstone": lambda c: first(c).update(tombstone="../../deleted.npy"),
    "lacks file 'deleted-": lambda c: first(c)["files"].pop(first(c)["tombstone"]),
    "cannot have": lambda c: first(c).update(documents=30_000_000_000, passages=30_000_000_000),
    "documents; documents.sqlite has 40": lambda c: first(c).update(documents=39),
    "no file is as": lambda c: first(c)["files"]["passages.npy"].update(digest="x"),
    "expected 7 bytes, got": lambda c: first(c)["files"]["passages.npy"].update(bytes=7),
    "lower-case letters": lambda c: c["channels"][0].update(name="../x"),
    "two channels have one name": lambda c: c["channels"].append(c["channels"][0]),
    "nested more than": lambda c: c["channels"][0].update(recipe="[" * 99_999),
    "expected float32 of shape": lambda c: c["channels"][0].update(dim=65),
}


@pytest.mark.parametrize("message", WRONG)
def test_a_stranger_s_manifest_is_refused_in_one_line(index: Path, message: str) -> None:
    edit(index, WRONG[message])
    with pytest.raises(ValueError, match=message) as caught:
        Index.open(index)
    assert "\n" not in str(caught.value)
    assert len(check(index)) == 1


def test_tables_of_documents_are_those_that_are_written(index: Path) -> None:
    """A view called ids once kept every command busy for ever."""
    path = index / "segments" / "000001" / "documents.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("DROP TABLE ids")
        connection.execute(
            "CREATE VIEW ids AS WITH RECURSIVE t(ordinal) AS (SELECT 0 UNION ALL SELECT ordinal+1 "
            "FROM t) SELECT ordinal, 'd' || ordinal AS id FROM t"
        )
    connection.close()
    with pytest.raises(ValueError, match="its tables are not those of documents"):
        DocumentStore(path)


@pytest.mark.parametrize("kind", ["pipe", "link", "folder"])
def test_files_of_an_index_are_regular(index: Path, tmp_path: Path, kind: str) -> None:
    path = index / "segments" / "000001" / "passages.npy"
    path.rename(tmp_path / "passages.npy")
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "link":
        path.symlink_to(tmp_path / "passages.npy")
    else:
        path.mkdir()
    with pytest.raises(ValueError, match=r"passages\.npy is (a link|no regular file)"):
        Index.open(index)
    assert len(check(index)) == 1


def test_too_many_open_files_are_no_damage(index: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = {int(path.name) for path in Path("/proc/self/fd").iterdir()}
    limit = next(at for at in range(soft) if at - sum(file < at for file in used) == 5)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    try:
        with pytest.raises(OSError, match="Too many open files") as caught:
            Index.open(index)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert caught.value.errno == errno.EMFILE
    assert str(index) in str(caught.value.filename)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (b"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 9**9), }", "no .npy file"),
        (b"{'descr': '|O', 'fortran_order': False, 'shape': (2,), }", "no .npy file"),
        (b"{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", "expected int64"),
        (b"{'descr': '<i8', 'fortran_order': False, 'shape': (9999999999999,), }", "takes"),
    ],
)
def test_headers_of_arrays_are_not_believed(tmp_path: Path, header: bytes, message: str) -> None:
    path = tmp_path / "x.npy"
    np.save(path, np.zeros(2))
    data = path.read_bytes()
    path.write_bytes(data[:10] + header.ljust(117) + b"\n" + data[128:])
    with pytest.raises(ValueError, match=message):
        open_array(path, np.int64, (None,))


def test_a_record_is_compared_again_once_the_file_is_written_to(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"one")
    record = FileRecord.of(path)
    for _ in range(3):
        record.check(path)
    path.write_bytes(b"two")
    with pytest.raises(ValueError, match="expected checksum"):
        record.check(path)


def test_a_search_takes_memory_for_the_documents_that_there_are(index: Path) -> None:
    """A search for 10**12 documents once took memory for as many."""
    asked = list(queries(2).values())
    with Index.open(index) as opened:
        for name, encoder in BOTH.items():
            hits = opened.search(name, encoder.encode(asked, Role.QUERY), 10**12)
            assert hits.rows.shape == (2, 98)
        runs = Retriever(opened, BOTH, depth=10**12).search(queries(2), 10**12)
    assert [len(run) for run in runs.values()] == [98, 98]


def test_delete_leaves_no_tombstone_that_it_replaced(
    index: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["delete", str(index), "d2"]) == 0
    assert "Deleted 1 document" in capsys.readouterr().out
    assert len(list((index / "segments" / "000001").glob("deleted-*"))) == 1
