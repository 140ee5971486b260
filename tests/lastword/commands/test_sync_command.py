"""The command that keeps an index in step: what it forgets, a full disk, and Ctrl-C."""

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from index.folder import Index, check
from lastword.main import FAILED, main
from tests.folders import ROOT


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return an index of words, of two folders."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name}.txt").write_text(f"tea {name}")
    sources = [str(tmp_path / name) for name in ("one", "two")]
    assert main(["index", *sources, "-o", str(tmp_path / "i"), "--channels", "bm25", "-q"]) == 0
    return tmp_path / "i"


@pytest.fixture
def say(path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[str, str]]:
    def run(*options: object, code: int = 0) -> tuple[str, str]:
        capsys.readouterr()
        assert main(["sync", str(path), *map(str, options)]) == code
        return capsys.readouterr()

    return run


def test_a_source_is_forgotten(path: Path, say: Callable[..., tuple[str, str]]) -> None:
    two = path.with_name("two")
    out, _ = say("--forget", two, "--dry-run")
    assert out == f"Would forget {two}; documents of it, which stay: 1.\n"
    for wrong in (["--remove"], ["--forget", two, "--watch"], ["--forget", path.with_name("x")]):
        assert say(*wrong, code=FAILED)[1].count("\n") == 1
    told: Any = json.loads(say("--forget", two, "--remove", "--json")[0])
    assert told["forgotten"] == [{"source": str(two), "documents": 1}]
    assert told["removed"] == ["two.txt"]
    assert "In step: 1 document unchanged." in say()[0]


@pytest.mark.parametrize("most", [0, 100, 3_000])
def test_a_full_disk_is_one_line_and_the_last_commit_stands(path: Path, most: int) -> None:
    (path.with_name("one") / "new.txt").write_text("new tea")
    done = _run("sync", str(path), limit=most)
    assert done.returncode == FAILED and done.stderr.count("\n") == 1, done.stderr
    with Index.open(path) as index:
        assert sorted(index.ids()) == ["one.txt", "two.txt"]
    assert check(path) == [] and main(["sync", str(path), "-q"]) == 0
    with Index.open(path) as index:
        assert sorted(index.ids()) == ["new.txt", "one.txt", "two.txt"]


def test_ctrl_c_ends_a_watch_without_a_fault(path: Path) -> None:
    command = [sys.executable, "-m", "lastword", "sync", str(path), "--watch"]
    with subprocess.Popen(
        command, cwd=ROOT, stderr=subprocess.PIPE, text=True, preexec_fn=_take_ctrl_c
    ) as process:
        assert process.stderr is not None
        assert "Ctrl-C ends" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        assert process.stderr.read() == "Stopped; the index is at its last commit.\n"
    assert process.returncode == 0 and check(path) == []


def _run(*arguments: str, limit: int) -> "subprocess.CompletedProcess[str]":
    """Run a command that may write files of so many bytes."""
    return subprocess.run(
        [sys.executable, "-m", "lastword", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
        capture_output=True,
        text=True,
    )


def _take_ctrl_c() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # a job in the background ignores it
