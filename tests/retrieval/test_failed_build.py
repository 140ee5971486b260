"""A build that fails or is interrupted loses no index and leaves no half-made folder."""

import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

import lastword as lw
from embedder.encoders.bm25 import BM25Encoder
from index.folder import Index
from index.writer import IndexWriter
from retrieval.build import build_index
from retrieval.options import BuildOptions
from tests.retrieval.test_build import both, contents
from tests.synthetic import SignEncoder, documents

SMALL = BuildOptions(segment_documents=30, window=7)
AGAIN = BuildOptions(segment_documents=30, window=7, overwrite=True)
FAILURES = [KeyboardInterrupt(), OSError("the source is gone"), "a text is no document"]


def failing(items: Iterable[Any], failure: object) -> Iterator[Any]:
    yield from items
    if isinstance(failure, BaseException):
        raise failure
    yield failure


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: type(failure).__name__)
@pytest.mark.parametrize("read", [0, 1, 29, 30, 75])
def test_the_old_index_stands_until_the_new_one_is_whole(
    tmp_path: Path, failure: object, read: int
) -> None:
    """`overwrite` emptied the index before the source was read, and it stayed empty."""
    path = tmp_path / "i"
    build_index(documents(40), both(), path, SMALL)
    before = contents(path)
    with pytest.raises((KeyboardInterrupt, OSError, TypeError)):
        build_index(failing(documents(read, seed=1), failure), both(), path, AGAIN)
    assert contents(path) == before
    assert sorted(folder.name for folder in (path / "segments").iterdir()) == ["000001", "000002"]
    with Index.open(path) as index:
        assert (list(index.stream()), index.check()) == (list(documents(40)), [])
    build_index(documents(70, seed=1), both(), path, AGAIN)
    build_index(documents(70, seed=1), both(), tmp_path / "new", SMALL)
    with Index.open(path) as index, Index.open(tmp_path / "new") as new:
        assert list(index.stream()) == list(new.stream())
        assert index.manifest.segments[0].files == new.manifest.segments[0].files
        assert (index.segments, index.unfinished) == (3, None)
    assert len(list((path / "segments").iterdir())) == 3  # the old ones are gone


@pytest.mark.parametrize("read", [60, 61])
def test_an_index_is_made_anew_of_its_own_documents_in_one_commit(
    tmp_path: Path, read: int
) -> None:
    path = tmp_path / "i"
    build_index(documents(read), both(), path, SMALL)
    with Index.open(path) as index:
        build_index(index.stream(), both(), path, AGAIN)
        with Index.open(path) as again:
            assert again.generation == index.generation + 1
            assert list(again.stream()) == list(index.stream()) == list(documents(read))


def test_from_python_the_old_index_still_answers(tmp_path: Path) -> None:
    path, options = tmp_path / "i", lw.BuildOptions(overwrite=True)
    lw.build(path, ["green tea", "black rock"], "bm25").close()
    sources: list[Any] = [["new", 3], failing(["new"], KeyboardInterrupt())]
    for wrong in sources:
        with pytest.raises((TypeError, KeyboardInterrupt)):
            lw.build(path, wrong, "bm25", options=options)
        with lw.open(path) as index:
            assert [hit.text for hit in index.search("tea")] == ["green tea"]
    with lw.build(path, ["new"], "bm25", options=options) as index:
        assert index.ids() == ["0"] and index.get("0").text == "new"


def test_what_was_encoded_for_a_new_index_is_not_encoded_again(tmp_path: Path) -> None:
    path = tmp_path / "i"
    build_index(documents(10), both(), path, SMALL)
    options = BuildOptions(segment_documents=30, window=7, overwrite=True, cache=True)
    with pytest.raises(KeyboardInterrupt):
        build_index(failing(documents(45, seed=1), KeyboardInterrupt()), both(), path, options)
    encoder = SignEncoder()
    build_index(documents(50, seed=1), {"dense": encoder, "bm25": BM25Encoder()}, path, options)
    assert len(encoder.texts) == 50 - 30 - 14
    assert not (path / "cache").exists()


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: type(failure).__name__)
def test_a_failed_build_leaves_no_folder_that_it_made(tmp_path: Path, failure: object) -> None:
    """Ctrl-C before the first commit left a folder, and any failure those around it."""
    for read in (0, 1, 29):
        with pytest.raises((KeyboardInterrupt, OSError, TypeError)):
            build_index(failing(documents(read), failure), both(), tmp_path / "a" / "b" / "i")
        assert list(tmp_path.iterdir()) == []
    with pytest.raises((KeyboardInterrupt, OSError, TypeError)):
        build_index(failing(documents(30), failure), both(), tmp_path / "a" / "i", SMALL)
    assert build_index(documents(40), both(), tmp_path / "a" / "i", SMALL).resumed == 30


def test_ctrl_c_after_the_last_commit_keeps_the_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(writer: IndexWriter) -> int:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(IndexWriter, "compact", interrupt)
        build_index(documents(10), both(), tmp_path / "i")
    with Index.open(tmp_path / "i") as index:
        assert (index.documents, index.unfinished) == (10, None)


def test_what_was_staged_and_not_committed_leaves_no_files(tmp_path: Path) -> None:
    build_index(documents(10), both(), tmp_path / "i")
    before = contents(tmp_path / "i")
    with IndexWriter(tmp_path / "i") as writer:
        writer.delete(["d3"])
        writer.merge()
    assert contents(tmp_path / "i") == before


@pytest.mark.parametrize("complete", [False, True])
def test_ctrl_c_in_a_build_with_a_model(tmp_path: Path, complete: bool) -> None:
    """The signal comes while the model encodes, in whatever library that is."""
    path = tmp_path / "i"
    if complete:
        lw.build(path, ["green tea"], "bm25").close()
    code = (
        "import pathlib, sys, lastword as lw\n"
        "def texts():\n"
        "    for at in range(100_000):\n"
        "        if at == 257:\n"  # a window is full: the next thing is the model
        "            print('reads', flush=True)\n"
        "        yield f'document {at} about tea and keys'\n"
        f"lw.build({str(path)!r}, texts(), options=lw.BuildOptions(overwrite=True))\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a job may ignore it
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "reads\n"
    process.send_signal(signal.SIGINT)
    _, lines = process.communicate()
    assert "KeyboardInterrupt" in lines.splitlines()[-1] and process.returncode != 0
    if complete:
        with lw.open(path) as index:
            assert index.search("tea")[0].text == "green tea"
    else:
        assert list(tmp_path.iterdir()) == []
