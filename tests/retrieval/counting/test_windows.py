"""BM25 counted on two cores gives the bytes of one core, and a process that ends is one line."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

import retrieval.counting.windows
import retrieval.ingestion
from embedder.encoders.bm25 import BM25Encoder
from embedder.types import Role
from index.documents import Document
from index.folder import Index
from retrieval.build import build_index
from retrieval.counting.process import CountingProcess
from retrieval.options import BuildOptions
from tests.synthetic import documents

TEXTS = ["Rotate the keys, every month.", "", "Schlüssel und 模型 — don't U.S.A 👍🏽", "the of"]


def _files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix in (".npy", ".sqlite", ".json")
    }


def test_rows_and_counts_are_those_of_one_process() -> None:
    ours, beside = BM25Encoder(), BM25Encoder()
    process = CountingProcess(beside)
    try:
        process.ask(TEXTS)
        while (answer := process.next_answer()) is None:
            process.wait()
    finally:
        process.close()
    rows = answer.sparse
    expected = ours.encode(TEXTS, Role.DOCUMENT).sparse
    assert rows is not None and expected is not None
    assert rows.shape == expected.shape
    for part in ("indptr", "indices", "data"):
        assert getattr(rows, part).tolist() == getattr(expected, part).tolist()
    assert beside.counts == ours.counts == {"texts": 4, "without_words": 2}


def test_a_users_own_modules_do_not_hide_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder of a user's script comes first where Python looks, and may hold an index.py."""
    (tmp_path / "embedder.py").write_text("raise SystemExit(3)")
    monkeypatch.syspath_prepend(tmp_path)
    process = CountingProcess(BM25Encoder())
    try:
        process.ask(TEXTS)
        while (answer := process.next_answer()) is None:
            process.wait()
    finally:
        process.close()
    assert len(answer) == len(TEXTS)


def test_an_index_has_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = BuildOptions(segment_documents=700, window=64)
    monkeypatch.setattr(retrieval.ingestion, "cores", lambda: 1)
    build_index(documents(1500), {"bm25": BM25Encoder()}, tmp_path / "one", options)
    monkeypatch.setattr(retrieval.ingestion, "cores", lambda: 2)
    monkeypatch.setattr(retrieval.counting.windows, "_FROM", 1)
    report = build_index(documents(1500), {"bm25": BM25Encoder()}, tmp_path / "two", options)
    assert _files(tmp_path / "one") == _files(tmp_path / "two")
    assert report.counts["bm25"]["texts"] == 1500


def test_a_process_that_ends_is_told_and_nothing_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The machine may end it for want of memory; the build goes on when it is given again."""
    monkeypatch.setattr(retrieval.ingestion, "cores", lambda: 2)
    monkeypatch.setattr(retrieval.counting.windows, "_FROM", 1)
    started: list[CountingProcess] = []

    class Watched(CountingProcess):
        def __init__(self, encoder: BM25Encoder) -> None:
            super().__init__(encoder)
            started.append(self)

    def source(killing: bool) -> Iterator[Document]:
        for at, document in enumerate(documents(400)):
            if killing and at == 300:
                os.kill(started[0]._process.pid, signal.SIGKILL)
            yield document

    monkeypatch.setattr(retrieval.counting.windows, "CountingProcess", Watched)
    options = BuildOptions(segment_documents=100, window=16)
    with pytest.raises(OSError, match="the process that counts terms for bm25 ended with -9"):
        build_index(source(True), {"bm25": BM25Encoder()}, tmp_path / "index", options)
    build_index(source(False), {"bm25": BM25Encoder()}, tmp_path / "index", options)
    with Index.open(tmp_path / "index") as index:
        assert index.documents == 400
    assert all(process._process.poll() is not None for process in started)
