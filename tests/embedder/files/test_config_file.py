"""JSON and TOML of strangers: each fault of a file becomes one line that names it."""

import json
import threading
from dataclasses import dataclass
from datetime import date
from enum import Enum
from pathlib import Path
from typing import Any, Literal

import pytest

from embedder.files.config_file import (
    MAX_DEPTH,
    check_encodable,
    fill,
    parse_json,
    parse_toml,
    read_config,
    read_json,
    read_toml,
)
from embedder.files.typed_values import in_short


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True)
class Inner:
    size: int
    name: str = "inner"


@dataclass(frozen=True)
class Outer:
    share: float
    inner: Inner = Inner(3, "given")
    more: Inner | None = None
    words: tuple[str, ...] = ()
    on: bool = False
    layer: int | float = -1
    mode: Literal["fast", "slow"] = "fast"
    colour: Colour = Colour.RED
    pair: tuple[int, str] = (1, "a")
    sizes: dict[str, int] | None = None
    place: Path = Path("here")
    day: date | None = None
    anything: Any = None

    def __post_init__(self) -> None:
        if self.share > 1:
            raise ValueError(f"share must be at most 1; got {self.share}")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("", "it is empty"),
        ("[1", "expecting ',' delimiter at column 3"),
        ("{}\n{}", "more follows after the value at line 1, column 3"),
        ('\n\n {"a":\n tru}', "expecting value at line 4, column 2"),
        ("[NaN]", "NaN is no number of JSON"),
        ("[-Infinity]", "-Infinity is no number of JSON"),
        ("[1e999]", "'1e999' is beyond"),
        ('{"a": {"b": 1, "b": 2}}', "the key 'b' comes twice"),
        ("1" * 5000, "a whole number of more than 4300 digits"),
        ("[" * 100_000, "nested more than 100 deep"),
        ('{"a":' * 100_000, "nested more than 100 deep"),
        ("[" * 101 + "]" * 101, "nested more than 100 deep"),
        (b'{"a": "\xe9"}', "not UTF-8, perhaps Latin-1: byte 0xe9 in line 1"),
        ('{"a": 1}'.encode("utf-16"), "seems to be UTF-16"),
        ('{"a": 1}'.encode("utf-16-le"), "seems to be UTF-16"),
        ('["\\ud800"]', r"\\ud800 is half a character"),
        ('{"\\uDEAD": [1]}', r"\\udead is half a character"),
        ('["\ud800"]', r"\\ud800 is half a character"),
    ],
)
def test_a_fault_of_json_is_one_line_that_names_the_place(data: bytes | str, said: str) -> None:
    with pytest.raises(ValueError, match=said) as raised:
        parse_json(data, "a.jsonl:3", encodable=True)
    assert str(raised.value).startswith("a.jsonl:3: ")
    assert "\n" not in str(raised.value) and len(str(raised.value)) < 200


def test_json_is_read_as_json_reads_it() -> None:
    value = {"a": [1, 2.5, None, True, "\U0001f375 \u00e9"], "b": {}, "\u4e2d": "\ud83d\ude00"}
    text = json.dumps(value)
    assert parse_json(text, "x") == json.loads(text)
    assert parse_json(f" {text}\r\n".encode(), "x", encodable=True) == json.loads(text)
    assert parse_json("\ufeff" + text, "x") == parse_json(text.encode("utf-8-sig"), "x")
    deep = "[" * MAX_DEPTH + " " * 300 + "]" * MAX_DEPTH
    assert parse_json(deep, "x") == json.loads(deep)
    assert parse_json("[NaN, 1e999]", "x", finite=False)[1] == float("inf")
    assert parse_json('"\\ud800"', "x") == "\ud800"  # told on demand only


def test_depth_is_bounded_in_a_thread_too() -> None:
    said: list[str] = []

    def read() -> None:
        with pytest.raises(ValueError, match="nested more") as raised:
            parse_json("[" * 1_000_000, "x")
        said.append(str(raised.value))

    thread = threading.Thread(target=read)
    thread.start()
    thread.join()
    assert said == ["x: nested more than 100 deep"]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("a = ", "not TOML: invalid value"),
        ("a = 1\na = 2", "not TOML: cannot overwrite a value"),
        ("a = " + "[" * 5000, "nested more than 100 deep"),
        ("a = " + "{a = " * 5000, "nested more than 100 deep"),
        (".".join("a" * 100_000) + " = 1", "nested more than 100 deep"),
        ("[" + ".".join("a" * 1000) + "]", "nested more than 100 deep"),
        ("a = " + "1" * 5000, "a whole number of more than 4300 digits"),
        ("a = 2020-13-01", "not TOML"),
        ("a = 1 # ä".encode("latin-1"), "perhaps Latin-1: byte 0xe4 in line 1"),
        ("a = 1".encode("utf-16"), "seems to be UTF-16"),
        ("#" * 5_000_000, "longer than 4 MiB"),
    ],
)
def test_a_fault_of_toml_is_one_line_that_names_it(data: bytes | str, said: str) -> None:
    with pytest.raises(ValueError, match=said) as raised:
        parse_toml(data, "a.toml")
    assert str(raised.value).startswith("a.toml: ")
    assert "\n" not in str(raised.value) and len(str(raised.value)) < 200


def test_brackets_in_texts_and_comments_do_not_nest() -> None:
    many = "[{." * 500
    text = f"a = \"{many}\"\nb = '{many}'\nc = '''\n{many}'''\nd = \"\"\"{many}\"\"\"\n# {many}\n"
    assert parse_toml("\ufeff" + text, "x") == {"a": many, "b": many, "c": many, "d": many}


def test_files_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text('\ufeff{"a": 1}')
    assert read_json(path) == {"a": 1}
    path.write_text("\ufeffa = 1")
    assert read_toml(path) == {"a": 1}
    for read in (read_json, read_toml):
        with pytest.raises(ValueError, match="not a regular file"):
            read(Path("/dev/zero"))
        with pytest.raises(ValueError, match="not a regular file"):
            read(tmp_path)
        with pytest.raises(FileNotFoundError):
            read(tmp_path / "none")


def test_a_table_keeps_the_defaults_of_its_field(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text('share = 1\nwords = ["a"]\n[inner]\nsize = 4\n[more]\nsize = 5\n')
    wanted = Outer(1.0, Inner(4, "given"), Inner(5, "inner"), ("a",))
    assert read_config(path, Outer) == wanted


def test_every_type_is_filled() -> None:
    data = {
        "share": 1,
        "layer": 3,
        "mode": "slow",
        "colour": "blue",
        "pair": [2, "b"],
        "sizes": {"a": 1},
        "place": "x/y",
        "day": date(2020, 1, 2),
        "anything": [None],
        "more": None,
    }
    read = fill(Outer, data, "x")
    assert type(read.share) is float and type(read.layer) is int
    assert (read.mode, read.colour, read.pair) == ("slow", Colour.BLUE, (2, "b"))
    assert (read.sizes, read.place, read.day) == ({"a": 1}, Path("x/y"), date(2020, 1, 2))
    assert type(fill(Outer, {"share": 1, "layer": 0.5}, "x").layer) is float


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("on = true", "share is missing"),
        ("share = true", "share must be a number; got True"),
        ("share = nan", "share must be a finite number; got nan"),
        ("share = inf", "share must be a finite number"),
        ("share = 2", "share must be at most 1"),
        ("share = 2020-01-01", "share must be a number"),
        ("share = 1\nshares = 1", r"unknown key shares; did you mean share\?"),
        ("share = 1\non = 1", "on must be true or false; got 1"),
        ("share = 1\non = 'no'", "on must be true or false; got 'no'"),
        ("share = 1\ninner = 3", r"inner must be a table, \[inner\]; got 3"),
        ("share = 1\nwords = 'a'", "words must be a list"),
        ("share = 1\nwords = [1]", r"words \(item 1\) must be a text; got 1"),
        ("share = 1\n[more]\nname = 'x'", r"more\.size is missing"),
        ("share = 1\n[inner]\nsize = 1.5", r"inner\.size must be a whole number"),
        ("share = 1\n[inner]\nsize = 0x" + "f" * 9999, r"inner\.size is a number beyond 64 bits"),
        ("share = 1\n[inner]\nsizes = 0x" + "f" * 9999, r"unknown key inner\.sizes"),
        ("share = 1\nlayer = 'top'", "layer must be a number; got 'top'"),
        ("share = 1\nlayer = nan", "layer must be a finite number"),
        ("share = 1\nlayer = true", "layer must be a number; got True"),
        ("share = 1\nmode = 'mid'", "mode must be one of 'fast', 'slow'; got 'mid'"),
        ("share = 1\nmode = ['fast']", "mode must be one of 'fast', 'slow'"),
        ("share = 1\ncolour = 'green'", "colour must be one of 'red', 'blue'; got 'green'"),
        ("share = 1\npair = [1]", "pair must hold 2 values; got 1"),
        ("share = 1\n[sizes]\na = 'x'", r"sizes\.a must be a whole number; got 'x'"),
        ("share = 1\nplace = 'a\\u0000b'".replace("'", '"'), "place holds a NUL"),
        ("share = 1\nday = 2020-01-01T00:00:00", "day must be a date"),
        ('share = 1\n"a\\nb" = 1', r"unknown key 'a\\nb'"),
        (f"share = 1\n[inner]\nsize = '{'x' * 9999}'", r"size must be a whole number; got 'xxx"),
        (f"share = 1\n{'x' * 9999} = 1", "unknown key 'xxx"),
    ],
)
def test_wrong_settings_are_named(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text(text)
    with pytest.raises(ValueError, match=said) as raised:
        read_config(path, Outer)
    assert str(raised.value).startswith(f"{path}: ")
    assert "\n" not in str(raised.value) and len(str(raised.value)) < len(str(path)) + 250


def test_what_is_filled_must_be_a_table_and_can_be_written() -> None:
    with pytest.raises(ValueError, match="x: the whole must be an object"):
        fill(Outer, [1], "x")
    with pytest.raises(ValueError, match=r"inner\.name holds \\ud800, half a character"):
        fill(Outer, {"share": 1, "inner": {"size": 1, "name": "\ud800"}}, "x")
    with pytest.raises(ValueError, match=r"a:1: \\ud800 is half a character"):
        check_encodable("b\ud800", "a:1")


def test_values_are_short_in_errors() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    assert in_short(deep) == "[[[...]]]"
    assert in_short(1 << 100_000) == "a number of 100001 bits"
    assert len(in_short({str(n): "x" * 100 for n in range(100)})) <= 100
    assert in_short("a\nb") == "'a\\nb'"
    while deep:  # taken down piece by piece, not by a recursion of the interpreter's
        deep = deep.pop()
