"""What a sync does with single files, and what it refuses."""

import os
import shutil
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from embedder.encoders.bm25 import BM25Encoder
from embedder.types import Encoder
from index.documents import Document
from index.folder import Index, check
from index.writer import IndexWriter
from retrieval.build import add_documents, build_index
from retrieval.sources.collection import FileSource
from retrieval.sources.ledger import KnownSource, SourceLedger, read_ledger
from retrieval.sources.listing import list_files
from retrieval.sources.options import SourceOptions
from retrieval.sync.looks import LOOKS
from retrieval.sync.options import SyncOptions
from retrieval.sync.report import SyncReport
from retrieval.sync.synchronise import sync_index
from retrieval.sync.watching import look_at, wait_for_change


def encoders() -> Mapping[str, Encoder]:
    return {"bm25": BM25Encoder()}


def no_encoders() -> Mapping[str, Encoder]:
    raise AssertionError("nothing is to be encoded")


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Return a folder of three documents, of which tmp_path/index is made."""
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "tea.txt").write_text("green tea")
    (folder / "keys.md").write_text("---\nyear: 1999\n---\nrotate the key")
    (folder / "rocks.jsonl").write_text('{"id": "lava", "text": "lava cools"}\n')
    build_index(FileSource([folder]), encoders(), tmp_path / "index")
    return folder


def sync(
    files: Path, *sources: Path, allow_empty: bool = False, dry_run: bool = False
) -> SyncReport:
    given = [KnownSource.of(source) for source in sources]
    options = SyncOptions(allow_empty, dry_run)
    return sync_index(files.parent / "index", given, encoders, options)


def ids(files: Path) -> set[str]:
    with Index.open(files.parent / "index") as index:
        return set(index.ids())


def test_a_move_and_other_metadata_need_no_encoder(files: Path) -> None:
    (files / "tea.txt").rename(files / "cup.txt")
    (files / "keys.md").write_text("---\nyear: 2020\n---\nrotate the key")
    report = sync_index(files.parent / "index", (), no_encoders)
    assert (report.moved, report.changed) == ((("tea.txt", "cup.txt"),), ("keys.md",))
    with Index.open(files.parent / "index") as index:
        assert index.document("keys.md").metadata == {"year": 2020}
        assert index.document("cup.txt").text == "green tea"
    assert check(files.parent / "index") == []


def test_a_dry_run_says_what_a_run_does_and_changes_nothing(files: Path) -> None:
    (files / "new.txt").write_text("a stone")
    (files / "tea.txt").unlink()
    dry = sync(files, dry_run=True)
    assert ids(files) == {"tea.txt", "keys.md", "lava"}
    done = sync(files)
    assert dry.new == done.new == ("new.txt",)
    assert dry.removed == done.removed == ("tea.txt",)
    assert ids(files) == {"new.txt", "keys.md", "lava"}


def test_a_source_that_is_away_or_empty_is_refused(files: Path) -> None:
    away = files.with_name("away")
    files.rename(away)
    with pytest.raises(ValueError, match=r"is not there.*--allow-empty"):
        sync(files)
    files.mkdir()
    with pytest.raises(ValueError, match=r"holds no files.*--allow-empty"):
        sync(files)
    assert len(ids(files)) == 3
    assert len(sync(files, allow_empty=True).removed) == 3
    assert ids(files) == set()


def test_what_cannot_be_read_any_more_keeps_its_document_and_is_told(files: Path) -> None:
    (files / "tea.txt").write_bytes(bytes(range(256)) * 9)
    for _ in range(2):
        report = sync(files)
        assert not report.differs
        ((name, reason),) = report.failed
        assert name == str(files / "tea.txt") and "stays as before" in reason
    (files / "tea.txt").write_text("black tea")
    assert sync(files).changed == ("tea.txt",)


def test_documents_that_came_another_way_stay(files: Path) -> None:
    add_documents([Document("own", "", "my own words")], encoders(), files.parent / "index")
    (files / "tea.txt").unlink()
    assert sync(files).removed == ("tea.txt",)
    assert ids(files) == {"keys.md", "lava", "own"}


def test_a_deleted_document_comes_back_while_its_file_is_there(files: Path) -> None:
    with IndexWriter(files.parent / "index") as writer:
        writer.delete(["tea.txt"])
        writer.commit()
    assert sync(files).new == ("tea.txt",)


def test_another_source_is_remembered_and_its_like_names_are_told_apart(files: Path) -> None:
    other = files.with_name("other")
    shutil.copytree(files, other)
    (other / "tea.txt").write_text("black tea")
    report = sync(files, other)
    assert report.encoded == 1 and report.removed == ()
    ledger = read_ledger(
        files.parent / "index", Index.open(files.parent / "index").manifest.sources
    )
    assert [source.path for source in ledger.sources] == [str(files), str(other)]
    assert not sync(files).differs


def test_an_edit_that_keeps_size_and_time_is_seen(files: Path) -> None:
    tea = files / "tea.txt"
    old = time.time() - 100
    os.utime(tea, (old, old))
    time.sleep(2.1)  # a look at a file that has just changed is not trusted
    assert not sync(files).differs
    assert str(tea) in (files.parent / "index" / LOOKS).read_text()
    tea.write_text("black te")
    os.utime(tea, (old, old))
    assert sync(files).changed == ("tea.txt",)


def test_only_sources_that_are_named_are_touched(files: Path) -> None:
    """Files of others were read where somebody had deleted their documents, or they had faults."""
    index, other = files.parent / "index", files.with_name("other")
    (files / "rocks.jsonl").write_text('{"id": "lava", "text": "lava cools"}\n{"id": "lava"')
    assert len(sync(files).failed) == 1
    with IndexWriter(index) as writer:
        writer.delete(["tea.txt"])
        writer.commit()
    (files / "keys.md").write_text("changed")
    other.mkdir()
    (other / "a.txt").write_text("a")
    files.rename(files.with_name("away"))  # whatever were read of it would be missed
    report = sync(files, other)
    assert (report.new, report.removed, report.failed) == (("a.txt",), (), ())
    assert report.unchanged == 2 and ids(files) == {"a.txt", "keys.md", "lava"}
    files.with_name("away").rename(files)
    assert sync(files).new == ("tea.txt",)


def test_an_id_that_a_source_before_takes_moves_a_file_that_is_not_looked_at(files: Path) -> None:
    index, other = files.parent / "index", files.with_name("other")
    other.mkdir()
    (other / "a.txt").write_text("the other a")
    sync(files, other)
    (files / "a.txt").write_text("the first a")
    (other / "a.txt").rename(files.with_name("away.txt"))
    report = sync_index(index, [KnownSource.of(files)], encoders)
    assert report.encoded == 1 and not report.failed and not report.removed
    with Index.open(index) as opened:
        texts = {one.text for one in opened.stream()}
    assert texts >= {"the first a", "the other a"}
    files.with_name("away.txt").rename(other / "a.txt")
    assert sync_index(index, (), no_encoders).encoded == 0
    build_index(FileSource([files, other]), encoders(), files.parent / "fresh")
    with Index.open(index) as opened, Index.open(files.parent / "fresh") as fresh:
        assert sorted(opened.stream(), key=str) == sorted(fresh.stream(), key=str)
    assert not sync(files).differs


def test_a_source_is_forgotten_and_its_documents_stay_or_go(files: Path) -> None:
    index, other = files.parent / "index", files.with_name("other")
    other.mkdir()
    for name in ("a.txt", "b.txt"):
        (other / name).write_text(name)
    sync(files, other)
    shutil.rmtree(other)  # it need not be there
    (files / "new.txt").write_text("new")
    dry = sync_index(index, (), no_encoders, SyncOptions(dry_run=True, forget=(str(other),)))
    assert (dry.forgotten, dry.new, dry.removed) == (((str(other), 2),), (), ())
    assert sync_index(index, (), encoders, SyncOptions(True)).removed == ("a.txt", "b.txt")
    other.mkdir()
    (other / "a.txt").write_text("a.txt")
    sync(files, other)
    done = sync_index(index, (), no_encoders, SyncOptions(forget=(str(other),)))
    assert not done.differs and done.forgotten == ((str(other), 1),)
    assert sync(files).unchanged == 4 and "a.txt" in ids(files)  # followed no longer
    with pytest.raises(ValueError, match=r"is no source of the index; it remembers '"):
        sync_index(index, (), no_encoders, SyncOptions(forget=(str(other),)))
    gone = sync_index(index, (), no_encoders, SyncOptions(forget=(str(files),), remove=True))
    assert set(gone.removed) == {"tea.txt", "keys.md", "lava", "new.txt"}
    assert ids(files) == {"a.txt"} and check(index) == []
    with pytest.raises(ValueError, match="remembers no sources"):
        sync(files)


def test_what_moved_from_a_forgotten_source_is_not_encoded(files: Path) -> None:
    other = files.with_name("other")
    shutil.copytree(files, other)
    (other / "tea.txt").rename(other / "cup.txt")
    options = SyncOptions(forget=(str(files),), remove=True)
    index, given = files.parent / "index", [KnownSource.of(other)]
    report = sync_index(index, given, no_encoders, options)
    assert (report.moved, report.unchanged) == ((("tea.txt", "cup.txt"),), 2)
    assert ids(files) == {"cup.txt", "keys.md", "lava"}


def test_two_at_once_are_refused_in_a_line(files: Path) -> None:
    with IndexWriter(files.parent / "index"), pytest.raises(BlockingIOError, match="one writer"):
        sync(files)


@pytest.mark.parametrize(
    "written", ["[]", "{}", '{"sources": 1, "files": []}', '{"sources": [], "files": [[1]]}']
)
def test_a_damaged_memory_is_one_line(written: str) -> None:
    with pytest.raises(ValueError, match=r"^sources: "):
        SourceLedger.from_bytes(written.encode(), "sources")


def test_a_burst_of_edits_is_waited_for() -> None:
    looks, pauses = iter("aabcdd"), list[float]()
    assert wait_for_change(lambda: next(looks), "a", 0.5, pauses.append) == "d"
    assert pauses == [0.5] * 5


def test_the_index_of_a_stranger_names_no_files_for_reading(files: Path, tmp_path: Path) -> None:
    """The ledger of an index that came in an archive named a folder of its new owner."""
    shutil.copytree(tmp_path / "index", tmp_path / "copy")
    (files / "secret.txt").write_text("a secret")
    before = sorted(Index.open(tmp_path / "copy").ids())
    for dry_run in (False, True):
        with pytest.raises(ValueError, match=r"copied or made elsewhere.*files.*nothing was read"):
            sync_index(tmp_path / "copy", (), no_encoders, SyncOptions(dry_run=dry_run))
    other = KnownSource.of(tmp_path / "other")  # naming another does not make the rest trusted
    with pytest.raises(ValueError, match="made elsewhere"):
        sync_index(tmp_path / "copy", [other], no_encoders)
    with pytest.raises(ValueError, match="made elsewhere"):
        look_at(tmp_path / "copy", ())
    assert sorted(Index.open(tmp_path / "copy").ids()) == before
    assert sync_index(tmp_path / "copy", [KnownSource.of(files)], encoders).new == ("secret.txt",)
    assert sync_index(tmp_path / "copy", (), no_encoders).unchanged == 4
    (tmp_path / "copy").rename(tmp_path / "moved")
    assert sync_index(tmp_path / "moved", (), no_encoders).unchanged == 4


def test_options_of_a_stranger_are_not_taken_over(files: Path, tmp_path: Path) -> None:
    """Who named a source of an index from elsewhere had its hidden files read, if that said so."""
    (files / ".secret.txt").write_text("a secret")
    (files / "rocks.jsonl").write_text('{"id": "lava", "text": "lava cools", "note": "hot"}\n')
    options = SourceOptions(hidden=True, text_field="note")
    build_index(FileSource([files], options), encoders(), tmp_path / "theirs")
    shutil.copytree(tmp_path / "theirs", tmp_path / "copy")
    report = sync_index(tmp_path / "copy", [KnownSource.of(files)], encoders)
    assert (report.removed, report.changed) == ((".secret.txt",), ("lava",))
    assert not sync_index(tmp_path / "copy", (), no_encoders).differs
    assert not sync_index(tmp_path / "theirs", [KnownSource.of(files)], no_encoders).differs


def test_a_folder_that_holds_its_own_index_comes_to_rest(files: Path) -> None:
    """Each sync took the files of the index before for documents, and changed them by that."""
    index = files / "my.index"
    (files / "sub").mkdir()
    build_index(FileSource([files]), encoders(), index)
    (files / "sub" / "new.txt").write_text("new")
    assert sync_index(index, (), encoders).new == ("sub/new.txt",)
    again = sync_index(index, (), no_encoders)
    assert (again.unchanged, again.differs, again.passed_over["index"]) == (4, False, 1)
    for pattern in ("*", "**", "**/*", "*/*"):
        listed = list_files([files / pattern]).files
        assert not [one for one in listed if "my.index" in one.path.parts]
