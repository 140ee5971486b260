"""Archives: members as files, paths that climb out, links, passwords, depth, and bombs."""

import bz2
import gzip
import io
import lzma
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.sources_files import locked, pdf, zipped
from index.documents import Document
from retrieval.sources.items import Blob, Notes, Skipped, UnpackBudget
from retrieval.sources.options import SourceOptions
from retrieval.sources.reading import read_blob
from tests.retrieval.sources.reads import read


def tarred(members: dict[str, bytes]) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    return data.getvalue()


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_members_are_files_by_their_path(
    tmp_path: Path, pack: Callable[[dict[str, bytes]], bytes]
) -> None:
    members = {
        "a/x.md": b"# T\nbody",
        "b.pdf": pdf("hello"),
        "../up.txt": b"up",
        "/abs.txt": b"abs",
        ".hidden/x.txt": b"no",
        "__MACOSX/x.txt": b"no",
        "c.png": b"\x89PNG",
        "d.jsonl": b'{"id": "r", "text": "x"}\n',
        "drafts/x.txt": b"no",
    }
    options = SourceOptions(exclude=("drafts/",))
    documents, skipped = read(tmp_path / "z.zip", pack(members), options)
    ids = {document.id: document.text for document in documents}
    assert ids == {"z.zip/a/x.md": "body", "z.zip/b.pdf": "hello", "r": "x"}
    kinds = {one.name.partition("z.zip/")[2]: one.kind for one in skipped}
    kinds.pop("link", None)
    assert kinds == {
        "../up.txt": "unreadable",
        "/abs.txt": "unreadable",
        ".hidden/x.txt": "hidden",
        "__MACOSX/x.txt": "hidden",
        "c.png": "ignored",
        "drafts/x.txt": "patterns",
    }


def test_backslashes_of_windows_are_slashes_and_drives_lead_out(tmp_path: Path) -> None:
    members = {"a\\b.txt": b"kept", "..\\c.txt": b"no", "C:\\d.txt": b"no"}
    documents, skipped = read(tmp_path / "w.zip", zipped(members))
    assert [one.id for one in documents] == ["w.zip/a/b.txt"]
    assert [one.name[-9:] for one in skipped] == ["/../c.txt", "/C:/d.txt"]


def test_a_locked_member_and_a_damaged_one_lose_no_other(tmp_path: Path) -> None:
    _, skipped = read(tmp_path / "a.zip", locked(zipped({"s.txt": b"secret"})))
    assert "password" in skipped[0].reason
    archive = bytearray(zipped({"a.txt": b"first " * 50, "b.txt": b"second"}))
    archive[archive.index(b"a.txt") + 8] ^= 0xFF
    documents, skipped = read(tmp_path / "b.zip", bytes(archive))
    assert [document.text for document in documents] == ["second"]
    assert "damaged" in skipped[0].reason


@pytest.mark.parametrize(
    ("suffix", "pack"), [(".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress)]
)
def test_packed_files_are_read_as_what_is_in_them(
    tmp_path: Path, suffix: str, pack: Callable[[bytes], bytes]
) -> None:
    name = f"a.md{suffix}"
    assert read(tmp_path / name, pack(b"# T\nx"))[0] == [Document(name, "T", "x")]
    rows = read(tmp_path / f"a.csv{suffix}", pack(b"id,text\n1,x\n"))[0]
    assert rows == [Document("1", "", "x")]
    inner = read(tmp_path / f"a.tar{suffix}", pack(tarred({"x.txt": b"x"})))[0]
    assert [one.id for one in inner] == [f"a.tar{suffix}/x.txt"]


def test_zstandard(tmp_path: Path) -> None:
    zstandard = pytest.importorskip("zstandard")
    packed = zstandard.compress(b"one") + zstandard.compress(b" two")
    assert read(tmp_path / "a.txt.zst", packed)[0] == [Document("a.txt.zst", "", "one two")]
    assert "damaged" in read(tmp_path / "b.zst", packed[:9])[1][0].reason


def test_archives_within_archives_end(tmp_path: Path) -> None:
    data = zipped({"x.txt": b"x"})
    for _ in range(3):
        data = zipped({"n.zip": data})
    documents, _ = read(tmp_path / "a.zip", data)
    assert [one.id for one in documents] == ["a.zip/n.zip/n.zip/n.zip/x.txt"]
    documents, skipped = read(tmp_path / "b.zip", zipped({"n.zip": data}))
    assert not documents and "more than 3 others" in skipped[0].reason


def test_one_budget_holds_for_archives_within_archives() -> None:
    inner = zipped({"big.txt": bytes(range(32, 96)) * 1000})
    data = zipped({f"{at}.zip": inner for at in range(9)})
    blob = Blob("a.zip", "a.zip", io.BytesIO(data), len(data), UnpackBudget(300_000))
    items = list(read_blob(blob, SourceOptions(), Notes()))
    faults = [item for item in items if isinstance(item, Skipped)]
    assert len(items) == 5 and "more than 100 times" in faults[0].reason
    few = Blob("a.zip", "a.zip", io.BytesIO(data), len(data), UnpackBudget(1 << 30, members=3))
    *_, last = read_blob(few, SourceOptions(), Notes())
    assert isinstance(last, Skipped) and "files" in last.reason


def test_bombs_are_named(tmp_path: Path) -> None:
    short = SourceOptions(max_megabytes=1)
    packed = gzip.compress(bytes(3_000_000))
    assert "unpacks to more than 1 MB" in read(tmp_path / "a.txt.gz", packed, short)[1][0].reason
    member = zipped({"a.txt": b"a" * 11_000_000, "b.txt": b"kept"})
    documents, skipped = read(tmp_path / "b.zip", member)
    assert [document.text for document in documents] == ["kept"]
    assert "more than 100 times" in skipped[0].reason
