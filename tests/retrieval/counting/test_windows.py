"""BM25 counted on two cores gives the bytes of one core, and a process that ends is one line."""

import os
import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_matrix

import retrieval.counting.windows
import retrieval.ingestion
from embedder.encoders.bm25 import BM25Encoder
from embedder.types import Role
from index.channels.inversion import invert
from index.channels.postings import Postings
from index.channels.postings_files import arrays_of
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


def _equal(ours: Postings, rows: csr_matrix | None) -> bool:
    assert rows is not None
    pairs = zip(arrays_of(ours).values(), arrays_of(invert(rows)).values(), strict=True)
    return all(one.dtype == other.dtype and np.array_equal(one, other) for one, other in pairs)


@pytest.mark.parametrize("language", ["english", "german", "turkish"])
def test_postings_and_counts_are_those_of_one_process(language: str) -> None:
    """Of one segment after another, of none, and of texts longer than are cut at a time."""
    ours, beside = BM25Encoder(language), BM25Encoder(language)
    long = ["Keys and locks. " * 50_000, "the Schlüssel " * 100_000 + "DİŞ"]
    with closing(CountingProcess(beside)) as process:
        for windows in ([TEXTS, long], [], [TEXTS[::-1]], [long, TEXTS]):
            for texts in windows:
                process.add(texts)
            process.ask_postings()
            together = [text for texts in windows for text in texts]
            assert _equal(process.take_postings(), ours.encode(together, Role.DOCUMENT).sparse)
    assert beside.counts == ours.counts
    assert beside.counts["texts"] == 16


def test_more_texts_than_may_wait_are_all_counted() -> None:
    texts = [f"number {number} " + "of the same words " * 60 for number in range(4096)]
    with closing(CountingProcess(BM25Encoder())) as process:
        for _ in range(8):
            process.add(texts)
        process.ask_postings()
        postings = process.take_postings()
    assert postings.rows == 8 * 4096
    assert postings.lengths.tolist() == [62] * postings.rows  # the others are stop words


def test_a_users_own_modules_do_not_hide_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder of a user's script comes first where Python looks, and may hold an index.py."""
    (tmp_path / "embedder.py").write_text("raise SystemExit(3)")
    monkeypatch.syspath_prepend(tmp_path)
    with closing(CountingProcess(BM25Encoder())) as process:
        process.add(TEXTS)
        process.ask_postings()
        assert process.take_postings().rows == len(TEXTS)


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
