"""search without a query: a prompt in a real terminal, and the lines of a pipe."""

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import lastword as lw
from lastword.commands.search.history import KEPT, line_reader
from lastword.main import main
from tests.folders import ROOT
from tests.typed import Terminal

STEERING = "\x1b]0;owned\x07\x1b[31mred"
DOCUMENTS: list[Any] = [
    {"id": "keys", "text": "rotate the key at night", "year": 1999},
    {"id": f"a{STEERING}", "title": STEERING, "text": f"tea {STEERING}", "by": STEERING},
    {"id": "long", "text": "\n".join(f"stone number {number}" for number in range(60))},
    {"id": "key", "text": "a key and a stone", "year": 2001},
]


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("in turn") / "a.index"
    lw.build(path, DOCUMENTS, "bm25").close()
    return str(path)


def test_a_prompt_answers_and_explains(index: str, tmp_path: Path) -> None:
    terminal = Terminal(["search", index], tmp_path)
    assert "4 documents by bm25" in terminal.read_until("search> ")
    found = terminal.type("key\n")
    assert found.index("a key and") < found.index("the key at night")
    assert "key: 0." in terminal.type(":explain 1\n") and "bm25" in terminal.said
    assert "rotate" not in terminal.type(":k 1\n")
    assert "rotate" in terminal.type(":filter year < 2000\n")
    assert "a key and" in terminal.type(":filter\n")
    assert "Searched: bm25." in terminal.type(":channels bm25\n")
    opened = terminal.type(":open 1\n")
    assert "year: 2001\n\na key and a stone\n" in opened
    assert terminal.type(":quit\n", "\n") and terminal.end() == 0
    lines = (tmp_path / "history").read_text().splitlines()
    assert lines[:3] == ["key", ":explain 1", ":k 1"] and lines[-1] == ":quit"
    assert (tmp_path / "history").stat().st_mode & 0o777 == 0o600


def test_mistakes_keys_and_steering_texts(index: str, tmp_path: Path) -> None:
    (tmp_path / "history").write_text("stone\n")
    terminal = Terminal(["search", index], tmp_path)
    terminal.read_until("search> ")
    for typed, expected in (
        (":open 1", "nothing is found yet"),
        (":nothing", "there is no :nothing; :help"),
        (":k many", "got 'many'"),
        (":k", "1 to 1,000,000; got none"),
        (":k 0000000001999999", "1 to 1,000,000; got '0000000001999999'"),
        (":channels dense", "takes some of bm25"),
        (":filter year >", "expected a field, or a value"),
    ):
        said = terminal.type(f"{typed}\n")
        assert expected in said and said.count("\n") == 2  # the line typed, and one that answers
    terminal.type("half a que", "half a que")
    assert "stone" not in terminal.interrupt()
    assert "stone number 0" in terminal.type("\x1b[A" * 8 + "\n")  # up to what was typed last time
    whole = terminal.type(":open 1\n")
    assert "stone number 59" in whole + terminal.type(":open 2\n")
    assert "takes the number of a hit, 1 to 2; got none" in terminal.type(":explain\n")
    tea = terminal.type("tea\n") + terminal.type(":open 1\n") + terminal.type(":explain 1\n")
    assert tea.count("\\x1b]0;owned\\x07\\x1b[31mred") >= 5
    assert "\x1b]0;" not in terminal.said and "\x1b[31m" not in terminal.said
    assert "Type a query and Enter" in terminal.type(":help\n")
    assert terminal.type("\x04", "\n") and terminal.end() == 0


@pytest.mark.parametrize("pager", ["no-such-pager -R", "less '", "TERM=dumb cat"])
def test_a_document_is_shown_without_its_pager(index: str, tmp_path: Path, pager: str) -> None:
    """The shell said that it was not found, and nothing of the document was shown."""
    terminal = Terminal(["search", index], tmp_path, pager)
    terminal.read_until("search> ")
    terminal.type("stone\n")
    whole = terminal.type(":open 1\n")
    assert "stone number 59" in whole and "not found" not in whole
    assert terminal.type("\x04", "\n") and terminal.end() == 0


def test_a_line_of_a_pipe_is_answered_before_the_next_comes(index: str) -> None:
    command = [sys.executable, "-m", "lastword", "search", index, "--json"]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        for query, first in (("rotate a key", "keys"), (":help stone", "long")):
            process.stdin.write(f"{query}\n")
            process.stdin.flush()
            answer = json.loads(process.stdout.readline())
            assert (answer["query"], answer["hits"][0]["id"]) == (query, first)
        process.stdin.close()
        assert process.stdout.read() == ""
    assert process.returncode == 0


def pipe(monkeypatch: pytest.MonkeyPatch, data: bytes, *arguments: str) -> int:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    return main(["search", *arguments])


def test_lines_that_cannot_be_answered(
    index: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = b"key\n\xffbad\n\n  \nnowhere\r\ntea"
    assert pipe(monkeypatch, data, index, "--json") == 2
    said = capsys.readouterr()
    answers = [json.loads(line) for line in said.out.splitlines()]
    assert [answer["query"] for answer in answers] == ["key", "\ufffdbad", "nowhere", "tea"]
    assert "expected UTF-8" in answers[1]["error"] and answers[2]["hits"] == []
    assert "standard input:2: expected UTF-8" in said.err
    assert said.err.endswith("1 of 4 queries could not be answered, see above\n")
    assert pipe(monkeypatch, b"key\n\ntea\n", index) == 0
    said = capsys.readouterr()
    assert said.out.startswith("key\n") and "\ntea\n" in said.out and "\x1b" not in said.out
    assert "1 blank line asked nothing." in said.err
    assert pipe(monkeypatch, b"\n", index, "-q") == 2
    assert "no query came" in capsys.readouterr().err
    assert pipe(monkeypatch, b"key\n", index, "--run", "a.trec") == 2
    assert "search takes either" in capsys.readouterr().err


def test_every_line_is_answered_as_it_would_be_alone(
    index: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("-k", "2", "--filter", "year > 0", "--facet", "year")
    assert pipe(monkeypatch, b"key\nstone\n", index, "--json", *options) == 0
    together = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    for query, answer in zip(("key", "stone"), together, strict=True):
        assert main(["search", index, query, "--json", *options]) == 0
        alone = json.loads(capsys.readouterr().out)
        assert alone | {"seconds": 0} == answer | {"seconds": 0}


def test_a_history_is_private_bounded_and_written_through_no_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("tea\ntea\n\nkey\n"))
    kept = tmp_path / "state" / "history"
    read_line = line_reader(kept)
    assert [read_line("") for _ in range(4)] == ["tea", "tea", "", "key"]
    assert kept.read_text() == "tea\nkey\n" and kept.stat().st_mode & 0o777 == 0o600
    kept.write_text("".join(f"query {number}\n" for number in range(3 * KEPT)))
    line_reader(kept)
    assert kept.read_text().splitlines() == [f"query {n}" for n in range(2 * KEPT, 3 * KEPT)]
    assert kept.stat().st_mode & 0o777 == 0o600
    other, link = tmp_path / "other", tmp_path / "link"
    other.write_text("mine\n")
    link.symlink_to(other)
    monkeypatch.setattr(sys, "stdin", io.StringIO("tea\n"))
    assert line_reader(link)("") == "tea"
    assert other.read_text() == "mine\n" and link.is_symlink()
