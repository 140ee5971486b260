"""Read JSON and TOML from strangers: bounded, every key known, every value of its type.

Errors are ValueErrors of one short line that begin with `place`: a file, or "file:line".
"""

import json
import math
import re
import sys
import tomllib
from pathlib import Path
from typing import Any, TypeVar

from embedder.files.name_lists import first_repeated
from embedder.files.typed_values import fill_value, in_short

Kind = TypeVar("Kind")

MAX_DEPTH = 100  # lists and tables within each other; parsers recurse, and so do their readers
MAX_JSON_BYTES = 1 << 30
MAX_TOML_BYTES = 4 << 20  # tomllib reads about a megabyte a second
_JSON_SPACE = " \t\r\n"
_UTF16 = re.compile(rb"\xff\xfe|\xfe\xff|\x00.|.\x00", re.DOTALL)
_TOML_MARK = re.compile(
    r'"""(?:[^\\]|\\.)*?"""|'
    r"'''.*?'''|"
    r'"(?:[^"\\\n]|\\.)*"|'
    r"'[^'\n]*'|#[^\n]*|"
    r"[\[\]{}.=\n]",
    re.DOTALL,
)


def parse_json(
    data: bytes | str, place: str, *, finite: bool = True, encodable: bool = False
) -> Any:  # noqa: ANN401
    """Parse one JSON value; as quick as json.loads on the lines of a corpus.

    Args:
        data: UTF-8, with or without a byte order mark, or text.
        place: what errors begin with.
        finite: whether NaN, Infinity and numbers beyond a float are refused.
        encodable: whether half a surrogate pair is refused, which JSON may spell and which no
            text of UTF-8 can hold.

    Raises:
        ValueError: it is no JSON, of another encoding, nested more than `MAX_DEPTH` deep, has a
            key twice in one object, or a number that cannot be read.
    """
    text = data.removeprefix("\ufeff") if isinstance(data, str) else decode(data, place)
    stripped = text.strip(_JSON_SPACE)
    try:  # the parser, in C, recurses as far as Python allows and then says so
        value, end = (_FINITE if finite else _LENIENT).raw_decode(stripped)
        if end != len(stripped):
            raise json.JSONDecodeError("More follows after the value", stripped, end)
    except json.JSONDecodeError as error:
        raise ValueError(f"{place}: not JSON: {_place(error, text)}") from None
    except RecursionError:
        raise ValueError(_too_deep(place)) from None
    except ValueError as error:
        raise ValueError(f"{place}: {_reason(error)}") from None
    if text.count("[") + text.count("{") > MAX_DEPTH:
        _check_depth([[value]], place)
    if encodable:
        if isinstance(data, str):
            check_encodable(text, place)
        if "\\ud" in text or "\\uD" in text:
            check_encodable(json.dumps(value, ensure_ascii=False), place)
    return value


def parse_object(line: str, place: str) -> dict[str, Any]:
    """Read the JSON object of a line; numbers in fields that nobody reads may be NaN.

    Raises:
        ValueError: it is none, or is nested too deeply.
    """
    try:
        record = parse_json(line, place, finite=False)
    except ValueError as error:
        reason = str(error).removeprefix(f"{place}: ")
        raise ValueError(f"{place}: expected one JSON object a line; {reason}") from error
    if not isinstance(record, dict):
        raise ValueError(f"{place}: expected a JSON object; got {type(record).__name__}")
    return record


def parse_toml(data: bytes | str, place: str) -> dict[str, Any]:
    """Parse TOML; see `parse_json` for the arguments and errors."""
    if len(data) > MAX_TOML_BYTES:
        raise ValueError(f"{place}: longer than {MAX_TOML_BYTES >> 20} MiB, too long for TOML")
    text = data.removeprefix("\ufeff") if isinstance(data, str) else decode(data, place)
    if sum(map(text.count, "[{.")) > MAX_DEPTH:
        _check_depth_of_toml(text, place)
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        reason = str(error)
        raise ValueError(f"{place}: not TOML: {reason[:1].lower()}{reason[1:]}") from None
    except RecursionError:
        raise ValueError(_too_deep(place)) from None
    except ValueError as error:  # numbers and dates that Python has no value for
        raise ValueError(f"{place}: {_reason(error)}") from None


def read_json(path: Path, *, finite: bool = True) -> Any:  # noqa: ANN401
    """Read a file that holds one JSON value; errors as of `parse_json`, and OSError."""
    return parse_json(read_small_file(path, MAX_JSON_BYTES), str(path), finite=finite)


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file; errors as of `parse_toml`, and OSError."""
    return parse_toml(read_small_file(path, MAX_TOML_BYTES), str(path))


def read_config(path: Path, kind: type[Kind]) -> Kind:
    """Read a TOML file whose keys are the fields of a dataclass; see `fill`."""
    return fill(kind, read_toml(path), str(path))


def fill(kind: type[Kind], data: object, place: str) -> Kind:
    """Turn a mapping into a dataclass: every key a field of it, every value of the field's type.

    Types are bool, int, float, str, Path, dates, Literal, Enum, tuple, dict, Any, dataclasses,
    and unions of them. A float is finite and takes whole numbers; true is no number; an int has
    64 bits at most; a text can be written as UTF-8. Keys that are left out keep their defaults,
    also those of a table: the default of the table as a whole counts, not that of its class.

    Raises:
        ValueError: names `place`, the key, what was expected, and what came.
    """
    try:
        value: Kind = fill_value(kind, data, "")
    except ValueError as error:
        raise ValueError(f"{place}: {error}") from error
    return value


def decode(data: bytes, place: str) -> str:
    """Decode UTF-8 with or without a byte order mark; what else it seems to be is named."""
    if _UTF16.match(data):
        raise ValueError(f"{place}: this seems to be UTF-16; save it as UTF-8")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"{place}: not UTF-8, perhaps Latin-1: byte 0x{data[error.start]:02x} "
            f"in line {line}; save it as UTF-8"
        ) from None


def check_encodable(text: str, place: str) -> None:
    """Refuse half of a surrogate pair, which no file can hold."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        code = f"\\u{ord(text[error.start]):04x}"
        raise ValueError(f"{place}: {code} is half a character (a lone surrogate)") from None


def read_small_file(path: Path, limit: int) -> bytes:
    """Read a file whole.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no regular file, or longer than so many bytes.
    """
    if path.exists() and not path.is_file():  # a pipe would be waited for, a device never ends
        raise ValueError(f"{path}: not a regular file")
    with path.open("rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise ValueError(f"{path}: longer than {limit >> 20} MiB")
    return data


def _check_depth_of_toml(text: str, place: str) -> None:
    """Count brackets of TOML that are open outside of texts, and dots of one key."""
    depth = dots = 0
    for match in _TOML_MARK.finditer(text):
        mark = match[0]
        if mark in "[{":
            depth += 1
        elif mark in "]}":
            depth -= 1
        dots = dots + 1 if mark == "." else 0 if mark in "=\n" else dots
        if max(depth, dots) > MAX_DEPTH:
            raise ValueError(_too_deep(place))


def _place(error: json.JSONDecodeError, text: str) -> str:
    if not text.strip(_JSON_SPACE):
        return "it is empty"
    before = text[: error.pos + len(text) - len(text.lstrip(_JSON_SPACE))]
    line = f"line {before.count(chr(10)) + 1}, " if "\n" in text.strip(_JSON_SPACE) else ""
    column = len(before) - before.rfind("\n")
    return f"{error.msg[:1].lower()}{error.msg[1:].removesuffix(' at')} at {line}column {column}"


def _too_deep(place: str) -> str:
    return f"{place}: nested more than {MAX_DEPTH} deep"


def _reason(error: ValueError) -> str:
    if "integer string conversion" in str(error):
        return f"a whole number of more than {sys.get_int_max_str_digits()} digits"
    return str(error)


def _check_depth(level: list[Any], place: str) -> None:
    """Descend level by level, since going down by calls is what is to be kept from the reader."""
    for _ in range(MAX_DEPTH + 1):
        inner = (outer.values() if type(outer) is dict else outer for outer in level)
        items = [item for values in inner for item in values]
        level = [item for item in items if type(item) is dict or type(item) is list]
        if not level:
            return
    raise ValueError(_too_deep(place))


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        repeated = first_repeated(key for key, _ in pairs)
        raise ValueError(f"the key {in_short(repeated)} comes twice in one object")
    return table


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is no number of JSON")


def _float(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"{in_short(text)} is beyond the range of numbers")
    return number


_LENIENT = json.JSONDecoder(object_pairs_hook=_object)
_FINITE = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_refuse, parse_float=_float)
