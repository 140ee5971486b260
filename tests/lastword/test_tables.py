"""Tables: ids and numbers are whole at any width, and nothing steers the terminal."""

import io
import json
import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from embedder.inspect.preview import PreviewedWording
from embedder.text.printable import escape_json, printable
from lastword.cli.options import Output
from lastword.cli.screen import Screen, one_line
from lastword.cli.tables import cut, fold, table
from lastword.commands.prompts.prompts_view import fed
from lastword.main import main

Terminal = Callable[[int], None]
LONG = "manual/" + "a" * 193
WIDE = "水" * 30
ROWS = [
    ("1", "0.1234", "12", "1000", LONG, "text " * 60),
    ("10", "0.0600", "-", "7", WIDE, "水" * 100),
]


def shown(capsys: pytest.CaptureFixture[str]) -> str:
    hits = table(*">#|>score|>dense|>bm25|id|text".split("|"), rows=ROWS, texts=["text"],
                 spare=[">dense", ">bm25"])  # fmt: skip
    Screen(Output()).result(None, hits)
    return capsys.readouterr().out


@pytest.mark.parametrize("columns", [1, 20, 40, 60, 80, 140, 400])
def test_ids_and_numbers_are_whole_at_any_width(
    columns: int, capsys: pytest.CaptureFixture[str], terminal: Terminal
) -> None:
    """An id was cut to 36 characters from its beginning, so that nobody could ask for it."""
    terminal(columns)
    out = shown(capsys)
    compact = out.replace("\n", "").replace(" ", "").replace("text", "").replace("…", "")
    assert "0.1234" in out and "0.0600" in out
    assert compact.count("a") >= 193 and compact.count("水") >= 30
    if columns >= 40:
        assert max(len(line) + line.count("水") for line in out.splitlines()) <= columns
    assert ("1000" in out) == (columns >= 140) == ("no room" not in out)


def test_an_id_of_two_hundred_characters_is_folded_over_lines(
    capsys: pytest.CaptureFixture[str], terminal: Terminal
) -> None:
    terminal(80)
    lines = shown(capsys).splitlines()
    column = [line[13:].split("  ")[0] for line in lines[3:8]]
    assert "".join(column).startswith(LONG)


def test_nothing_is_cut_where_stdout_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    out = shown(capsys)
    assert [line.split()[:5] for line in out.splitlines()[3:5]] == [list(row[:5]) for row in ROWS]
    assert out.count("text") == 61 and out.count("水") == 130 and "…" not in out
    assert one_line("a\nb " * 500) == " ".join(["a b"] * 500)


def test_texts_are_cut_and_folded_by_cells_of_the_terminal(terminal: Terminal) -> None:
    """A wide character takes two cells of a terminal."""
    terminal(80)
    assert cut("水水水", 6) == "水水水" and cut("水水水水", 6) == "水水…"
    assert fold("水水水", 4) == ["水水", "水"] and fold("an id of words", 8) == [
        "an id of",
        "words",
    ]


def test_a_column_of_numbers_may_be_the_last(capsys: pytest.CaptureFixture[str]) -> None:
    """Its sign ">" was printed as a heading once."""
    Screen(Output()).result(None, table("what", ">number", rows=[["kept", "1,000"], ["x", "2"]]))
    assert ">" not in (out := capsys.readouterr().out)
    assert " kept   1,000\n x          2\n" in out


@pytest.mark.parametrize(
    ("text", "visible"),
    [
        ("\x1b[31mred", r"\x1b[31mred"),
        ("a\nb\tc\r", r"a\nb\tc\r"),
        ("\x00\x07\x7f\x85\x9b", r"\x00\x07\x7f\x85\x9b"),
        ("\u202egnirts\u2066", r"\u202egnirts\u2066"),
        ("\ud83d", r"\ud83d"),
        ("é 水 👩\u200d👩 [bold]", "é 水 👩\u200d👩 [bold]"),
    ],
)
def test_what_steers_a_terminal_is_shown(text: str, visible: str) -> None:
    assert printable(text) == visible
    assert printable(text, keep=text) == text
    written = escape_json(json.dumps(text, ensure_ascii=False))
    assert json.loads(written) == text and printable(written) == written


def test_no_output_sends_what_a_document_holds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], terminal: Terminal
) -> None:
    """Ids and titles could set the window's title, fill the clipboard, and hide text."""
    evil = "\x1b]52;c;ZWNobw==\x07\u202e\x9b31m\n[bold]:bug:[/]"
    source = tmp_path / "a.jsonl"
    document = {"_id": evil, "title": evil, "text": f"tea {evil}"}
    source.write_text(json.dumps(document) + "\n", encoding="utf-8")
    index = str(tmp_path / "i")
    assert main(["index", str(source), "-o", index, "--channels", "bm25", "-q"]) == 0
    terminal(300)
    for command in (["search", index, "tea"], ["explain", index, "tea", evil]):
        for option in ([], ["--json"]):
            assert main([*command, *option]) == 0
            said = capsys.readouterr()
            assert all(char == "\n" or printable(char) == char for char in said.out + said.err)
            assert "[bold]:bug:[/]" in said.out
    assert main(["delete", index, f"{evil}x"]) == 2
    said = capsys.readouterr()
    assert all(char == "\n" or printable(char) == char for char in said.err)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_a_narrow_encoding_gets_escapes(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--json` ended in "'ascii' codec can't encode", although JSON has escapes."""
    data, buffer = {"é": "水\ud83d\x9b"}, io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(buffer, encoding=encoding))
    Screen(Output(json=True)).result(data)
    sys.stdout.flush()
    assert json.loads(buffer.getvalue().decode("ascii")) == data
    Screen(Output()).result(None, "水…", table("id", "text", rows=[["水", "tea"]]))
    sys.stdout.flush()
    text = buffer.getvalue().decode(encoding)
    assert r" \u6c34  tea" in text and "----" in text


def test_a_model_that_loads_is_announced_to_people_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Seconds passed without a word while a model was read."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    for output, channels, says in (
        (Output(), "", True),
        (Output(), "dense,bm25", True),
        (Output(), "bm25", False),
        (Output(quiet=True), "", False),
        (Output(json=True), "", False),
    ):
        with Screen(output).loading(channels):
            pass
        said = capsys.readouterr()
        assert ("Loading the model" in said.err) == says and not said.out
    monkeypatch.setattr(sys.stderr, "isatty", lambda: False)
    with Screen(Output()).loading(""):
        assert not capsys.readouterr().err


def test_a_remark_is_made_once(capsys: pytest.CaptureFixture[str]) -> None:
    """Two collections of one folder, or two channels of one model, said the same twice."""
    screen = Screen(Output())
    for text in ("2 files passed over", "read", "2 files passed over"):
        screen.remark(text)
    assert capsys.readouterr().err == "2 files passed over\nread\n"


def test_a_suggested_command_can_be_pasted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`Next: lastword search my index "your question"` opened an index called `my`."""
    (tmp_path / "a.txt").write_text("tea")
    out = tmp_path / "my 'index"
    assert main(["index", str(tmp_path / "a.txt"), "-o", str(out), "--channels", "bm25"]) == 0
    [suggested] = re.findall("Next: (.*)", capsys.readouterr().err)
    assert shlex.split(suggested) == ["lastword", "search", str(out), "your question"]


def test_what_a_model_is_fed_is_shown_whole(capsys: pytest.CaptureFixture[str]) -> None:
    """A bell in a text was dropped without a word by what lays out the tokens."""
    text = "tea\x07\x1b[2J"
    Screen(Output()).result(
        None, fed(PreviewedWording(((5, text),), (((0, 1),),), (), (), ((0, 1, text),)))
    )
    assert r"tea\x07\x1b[2J" in capsys.readouterr().out
