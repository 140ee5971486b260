"""Parsing beside this process: order, limits of time and memory, and nothing left behind."""

import os
import time
from contextlib import suppress
from pathlib import Path

import pytest

from benchmarks.sources_files import pdf
from retrieval.sources.collection import FileSource
from retrieval.sources.items import Notes, Skipped
from retrieval.sources.listing import SourceFile, list_files
from retrieval.sources.options import SourceOptions
from retrieval.sources.pool import read_files


def test_files_come_in_their_order_whatever_reads_them(tmp_path: Path) -> None:
    for at in range(12):
        (tmp_path / f"{at:02}.txt").write_text(f"text {at}")
        (tmp_path / f"{at:02}.pdf").write_bytes(pdf(f"page {at}"))
    source = FileSource([tmp_path], SourceOptions(workers=3))
    names = [f"{at:02}{suffix}" for at in range(12) for suffix in (".pdf", ".txt")]
    assert [document.id for document in source] == names
    assert [document.id for document in FileSource([tmp_path], SourceOptions(workers=1))] == names


def test_what_takes_too_long_is_skipped_and_the_next_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text("<div>" * 300_000)  # minutes, in C
    (tmp_path / "b.html").write_text("<p>fine")
    source = FileSource([tmp_path], SourceOptions(seconds=3, workers=1))
    started = time.monotonic()
    assert [document.id for document in source] == ["b.html"]
    assert "longer than 3 seconds" in source.skipped[0].reason
    assert time.monotonic() - started < 60


def test_what_takes_too_much_memory_is_skipped_and_the_next_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text("<p>x" * 8_000_000)
    (tmp_path / "b.html").write_text("<p>fine")
    source = FileSource([tmp_path], SourceOptions(memory_megabytes=200, workers=1))
    assert [document.id for document in source] == ["b.html"]
    assert "memory" in source.skipped[0].reason


def parsers() -> list[str]:
    """Return the ids of the processes that parse for this one."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            parent = (place / "stat").read_text().rpartition(")")[2].split()[1]
            command = (place / "cmdline").read_bytes()
            if parent == str(os.getpid()) and b"sources/worker.py" in command:
                found.append(place.name)
    return found


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs Linux's /proc")
def test_a_reading_that_is_left_ends_its_processes(tmp_path: Path) -> None:
    for at in range(9):
        (tmp_path / f"{at}.pdf").write_bytes(pdf("x"))
    reading = read_files(list_files([tmp_path]).files, SourceOptions(workers=2), Notes())
    next(reading)
    assert len(parsers()) == 2
    reading.close()  # type: ignore[attr-defined]
    patience = time.monotonic() + 30
    while parsers() and time.monotonic() < patience:
        time.sleep(0.05)
    assert not parsers()


def test_a_file_that_goes_away_is_named(tmp_path: Path) -> None:
    gone = SourceFile("a.pdf", tmp_path / "a.pdf")
    (items,) = read_files([gone], SourceOptions(), Notes())
    assert isinstance(items[1], Skipped) and "No such file" in items[1].reason


def test_a_users_own_modules_do_not_hide_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An index.py in the working directory ended every process that parsed."""
    (tmp_path / "index.py").write_text("raise SystemExit('not ours')")
    (tmp_path / "a.pdf").write_bytes(pdf("hello"))
    monkeypatch.syspath_prepend(str(tmp_path))
    assert [document.text for document in FileSource([tmp_path / "a.pdf"])] == ["hello"]
