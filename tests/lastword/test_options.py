"""Options of every command: long names, ranges, help at any width, completion."""

from collections.abc import Iterator

import pytest
import typer

from benchmarks.fuzz_options import CALLS, command_slots
from lastword.app import app
from lastword.main import main


def leaves(command: object, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], object]]:
    """Yield every command with the words that call it."""
    for name, inner in getattr(command, "commands", {}).items():
        yield from leaves(inner, (*path, name))
    if not hasattr(command, "commands"):
        yield path, command


def test_every_command_is_fuzzed() -> None:
    """A new command needs a call that works, in which its options are then changed."""
    assert command_slots().keys() == CALLS.keys() == {" ".join(path) for path in COMMANDS}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["-k", "many"], "integer, unable to parse string as an integer; got 'many'. See"),
        (["-k", "-3"], "greater than or equal to 0; got '-3'. See lastword search --help."),
        (["--top-k", "9" * 5000], "exceeded maximum size; got '9999"),
        (["--depth", "nan"], "got 'nan'"),
    ],
)
def test_a_refused_value_is_named(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """It was said that a number was expected, but not what came."""
    assert main(["search", "an.index", "tea", *arguments]) == 2
    said = capsys.readouterr().err
    assert says in said and said.count("\n") == 1 and len(said) < 300


def test_a_mistyped_command_gets_one_question_mark(capsys: pytest.CaptureFixture[str]) -> None:
    """It ended "Did you mean 'search'?. See"."""
    assert main(["serch"]) == 2
    error = capsys.readouterr().err
    assert "'? See lastword --help." in error and error.count("\n") == 1


COMMANDS = dict(leaves(typer.main.get_command(app)))


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_short_option_has_a_long_name(path: tuple[str, ...]) -> None:
    """`-k` alone could not be guessed, and scripts could not say what they mean."""
    for parameter in COMMANDS[path].params:  # type: ignore[attr-defined]
        names = [name for name in parameter.opts if name.startswith("-")]
        assert not names or any(name.startswith("--") and len(name) > 3 for name in names)


@pytest.mark.parametrize("columns", ["1", "0", "80", "nonsense", "100000"])
def test_help_is_shown_at_any_width(
    columns: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.delenv("TERM", raising=False)
    for arguments in (["--help"], ["search", "--help"], ["prompts", "list"], []):
        assert main(arguments) == 0
        assert capsys.readouterr().out


def test_paragraphs_of_help_wrap_to_the_screen(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Line ends of the source stood in them, and left lines of one or two words at 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["embed", "--help"]) == 0
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    start = next(at for at, line in enumerate(lines) if line.startswith("It holds ids"))
    assert [len(line) > 60 for line in lines[start : start + 3]] == [True, True, False]
    for path, command in COMMANDS.items():
        text = getattr(command, "help", "")
        assert text and not text.replace("\n\n", "").count("\n"), path


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_help_is_whole_at_80_columns(
    path: tuple[str, ...], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list without spaces was cut in the middle, and its end could not be read anywhere."""
    monkeypatch.setenv("COLUMNS", "80")
    assert main([*path, "--help"]) == 0
    assert "\N{HORIZONTAL ELLIPSIS}" not in capsys.readouterr().out
