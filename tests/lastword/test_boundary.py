"""The last resort: whatever happens is one line and an exit code, whatever the streams are."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lastword import app
from lastword.cli.streams import TRACEBACK
from lastword.main import FAILED, FINISHED, INTERRUPTED, PIPE_CLOSED, main
from tests.folders import ROOT

UNEXPECTED = [
    RecursionError("maximum recursion depth exceeded"),
    KeyError("a"),
    AssertionError(),
    TypeError("two\nlines \x1b[31m"),
    AttributeError("'NoneType' object has no attribute 'x'"),
    RuntimeError("a library's " + "x" * 5000),
]
CAUSED = [
    UnicodeEncodeError("utf-8", "before \ud83d after", 7, 8, "surrogates not allowed"),
    OSError(errno.ENOSPC, "No space left on device", "file\n.npy"),
    MemoryError(),
    ImportError("this needs `pip install peft`"),
]


def run(
    *arguments: str, script: str = "", **settings: object
) -> "subprocess.CompletedProcess[str]":
    """Run lastword, or it inside a shell script as "$@"."""
    command = [sys.executable, "-m", "lastword", *arguments]
    if script:
        command = ["bash", "-c", script, "bash", *command]
    environment = {**os.environ, **settings.pop("env", {})}  # type: ignore[dict-item]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


@pytest.mark.parametrize("error", [*UNEXPECTED, *CAUSED], ids=lambda error: type(error).__name__)
def test_any_exception_is_one_line(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A RecursionError of a deep file used to end in a traceback and exit code 1."""

    def fail(**_: object) -> None:
        raise error

    monkeypatch.setattr(app, "app", fail)
    monkeypatch.delenv(TRACEBACK, raising=False)
    assert main(["info", "x"]) == FAILED
    said = capsys.readouterr().err
    assert said.startswith("lastword: ") and said.count("\n") == 1 and said.isprintable() is False
    assert said[:-1].isprintable() and len(said) < 2500
    assert (TRACEBACK in said) == (error in UNEXPECTED)
    monkeypatch.setenv(TRACEBACK, "1")
    assert main(["info", "x"]) == FAILED
    assert "Traceback (most recent call last)" in capsys.readouterr().err


def test_an_error_of_an_import_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "lastword.app", None)
    assert main(["info", "x"]) == FAILED
    said = capsys.readouterr().err
    assert said.startswith("lastword: ") and said.count("\n") == 1


def test_ctrl_c_that_a_library_made_another_error_of_is_still_ctrl_c(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Extension modules turn what is raised while they load into an ImportError."""

    def fail(**_: object) -> None:
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            raise ImportError("initialization failed") from None

    monkeypatch.setattr(app, "app", fail)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a job may ignore Ctrl-C
    try:
        assert main(["info", "x"]) == INTERRUPTED
        assert capsys.readouterr().err.startswith("lastword: interrupted")
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler  # as it was
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("line", ["time.sleep(60)", "exec('time.sleep(60)')"])
def test_ctrl_c_during_imports_is_one_line(line: str, tmp_path: Path) -> None:
    """It used to print the traceback of whichever import it fell into.

    A module that waits stands for a slow import; it says that it runs by a file. Where `exec` is
    interrupted, as in a dataclass, Python ends by the signal, whoever catches the exception.
    """
    (tmp_path / "typer.py").write_text(
        f"import pathlib, time\npathlib.Path({str(tmp_path / 'runs')!r}).touch()\n{line}\n"
    )
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    started = subprocess.Popen(
        [sys.executable, "-m", "lastword", "--version"],
        env={**os.environ, "PYTHONPATH": path},
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a job may ignore it
    )
    while not (tmp_path / "runs").exists() and started.poll() is None:
        time.sleep(0.01)
    started.send_signal(signal.SIGINT)
    said = started.communicate()[1]
    assert started.returncode == INTERRUPTED
    assert said.startswith("lastword: interrupted") and said.count("\n") == 1


def test_a_closed_stdout_is_an_error_of_one_line() -> None:
    """`lastword --version >&-` used to end in "'NoneType' object has no attribute 'write'"."""
    for arguments in (["--version"], ["prompts", "list", "--json"], ["prompts", "list"]):
        done = run(*arguments, script='"$@" >&-')
        assert done.returncode == FAILED
        assert done.stderr == "lastword: stdout cannot be written: it is closed\n"


def test_what_cannot_be_said_anywhere_is_an_exit_code() -> None:
    assert run("--version", script='"$@" 2>&-').stdout.startswith("lastword ")
    assert run("info", "nowhere", script='"$@" 2>&-').returncode == FAILED
    assert run("info", "nowhere", script='"$@" <&- >&- 2>&-').returncode == FAILED
    assert run("--version", script='"$@" <&-').returncode == FINISHED


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, a full disk")
def test_a_full_disk_under_stdout_is_named() -> None:
    for buffering in ("", "1"):
        done = run("--version", script='"$@" >/dev/full', env={"PYTHONUNBUFFERED": buffering})
        assert done.returncode == FAILED
        assert done.stderr == "lastword: stdout cannot be written: No space left on device\n"


def test_a_reader_that_leaves_is_no_error() -> None:
    """What `head` does; the interpreter used to complain at its end, with exit code 120."""
    for arguments in (["--help"], ["prompts", "show", "promptreps", "--json"]):
        done = run(*arguments, script='"$@" | true; exit ${PIPESTATUS[0]}')
        assert done.returncode in (PIPE_CLOSED, FINISHED)  # FINISHED: it was faster than `true`
        assert done.stderr == ""
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "lastword", "--version"]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (PIPE_CLOSED, "")


def test_ids_of_another_locale_are_found(tmp_path: Path) -> None:
    """In an ASCII locale a query and an id of UTF-8 were "surrogates not allowed"."""
    source, index = tmp_path / "a.jsonl", str(tmp_path / "i")
    source.write_text('{"_id": "é1", "text": "thé vert"}\n', encoding="utf-8")
    assert main(["index", str(source), "-o", index, "--channels", "bm25", "-q"]) == FINISHED
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    searched = run("search", index, "thé", "--json", env=ascii_only)
    assert json.loads(searched.stdout)["hits"][0]["id"] == "é1" and searched.stdout.isascii()
    explained = run("explain", index, "thé", "é1", env=ascii_only)
    assert explained.stdout.isascii() and r"\xe91: " in explained.stdout
    assert run("delete", index, "é2", env=ascii_only).stderr.count(r"no document '\xe92'")
    assert run("delete", index, "é1", env=ascii_only).returncode == FINISHED
    refused = run("search", index, "caf\udce9", env=ascii_only)
    assert "the query is not legal Unicode text" in refused.stderr


def test_warnings_of_libraries_are_for_developers() -> None:
    """An error was the last of several lines where a library had warned before it."""
    script = (
        "import logging, sys, warnings\n"
        "from lastword import app, main\n"
        "def fail(**_):\n"
        "    warnings.warn('overflow')\n"
        "    logging.getLogger('a.library').warning('deprecated')\n"
        "    raise ValueError('wrong')\n"
        "app.app = fail\n"
        "sys.exit(main.main())\n"
    )
    for traceback, lines in (("", 1), ("1", 5)):
        environment = {**os.environ, TRACEBACK: traceback}
        command = [sys.executable, "-c", script]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        assert done.returncode == FAILED
        assert len(done.stderr.splitlines()) >= lines and (
            lines > 1 or done.stderr.count("\n") == 1
        )
