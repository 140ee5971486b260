"""Turn what JSON and TOML hold into values of declared types; errors name the key."""

import math
import re
import reprlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, Field, fields, is_dataclass, replace
from datetime import date, datetime, time
from enum import Enum
from functools import partial
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from embedder.files.name_lists import suggest_names

_NAMES: Mapping[Any, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text",
    Path: "a path",
    date: "a date",
    datetime: "a date and time",
    time: "a time",
    NoneType: "null",
}
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_PLAIN = re.compile(r"[\w.-]{1,60}")
_MAX_INT = 1 << 63


def fill_value(hint: Any, value: object, key: str, default: object = None) -> Any:  # noqa: ANN401
    """Return a value as the type that `hint` says.

    Args:
        hint: a class or a type of `typing`; see `config_file.fill` for those that are known.
        value: as JSON or TOML holds it.
        key: named in errors; "" is the whole file.
        default: the default of a table; its values stand where `value` has none.

    Raises:
        ValueError: names the key, what was expected, and what came.
    """
    origin, args = get_origin(hint), get_args(hint)
    if hint is Any or hint is object:
        return value
    if origin is Literal:
        return _choice(dict(zip(args, args, strict=True)), value, key)
    if origin in (Union, UnionType):
        return _union(args, value, key, default)
    if is_dataclass(hint) and isinstance(hint, type):
        if isinstance(value, hint):  # a part that was read on its own
            return value
        if hasattr(hint, "from_text"):  # a table that is written as one text
            return _build(hint.from_text, {"text": fill_value(str, value, key)}, key)
        table = _table(value, key, f"a table, [{key}]")
        return _fill(hint, default if isinstance(default, hint) else None, table, key)
    if origin is tuple or origin is list:
        return _list(origin, args, value, key)
    if origin in (dict, Mapping):
        return {
            fill_value(args[0], name, _under(key, name)): fill_value(
                args[1], item, _under(key, name)
            )
            for name, item in _table(value, key, "a table").items()
        }
    if isinstance(hint, type) and issubclass(hint, Enum):
        return _choice({member.value: member for member in hint}, value, key)
    return _scalar(hint, value, key)


def check_values(data: Mapping[str, object], kinds: Mapping[str, Any], key: str = "") -> None:
    """Check those values of a table that have a declared type; other keys may hold anything.

    Raises:
        ValueError: names the key, what was expected, and what came.
    """
    for name, kind in kinds.items():
        if name in data:
            fill_value(kind, data[name], _under(key, name))


def unknown_key(table: str, key: object, known: Sequence[str]) -> str:
    """Say that a table knows no such key, and which one may be meant."""
    hint = suggest_names(str(key)[:60], known, f"known are {', '.join(known)}", most=1)
    return f"unknown key {_under(table, key)}; {hint}"


def in_short(value: object) -> str:
    """Write a value for an error: one line of at most about 80 characters."""
    return _SHORT.repr(value)


def _fill(kind: type[Any], default: Any, data: Mapping[str, object], key: str) -> Any:  # noqa: ANN401
    hints = get_type_hints(kind)
    known = {field.name: field for field in fields(kind) if field.init}
    if unknown := [name for name in data if name not in known]:
        raise ValueError(unknown_key(key, unknown[0], tuple(known)))
    values = {}
    for name, value in data.items():
        own = getattr(default, name) if default is not None else _default(known[name])
        values[name] = fill_value(hints[name], value, _under(key, name), own)
    if default is not None:
        return _build(partial(replace, default), values, key)
    required = [name for name, field in known.items() if _default(field) is MISSING]
    if missing := [name for name in required if name not in data]:
        raise ValueError(f"{_under(key, missing[0])} is missing, and there is no default")
    return _build(kind, values, key)


def _build(kind: Callable[..., Any], values: dict[str, Any], key: str) -> Any:  # noqa: ANN401
    """Build a table; what it finds wrong with itself names its key."""
    try:
        return kind(**values)
    except ValueError as error:
        reason = str(error)
        named = not key or reason.startswith((f"{key}.", f"{key} "))
        raise ValueError(reason if named else f"[{key}] {reason}") from error


def _union(args: tuple[Any, ...], value: object, key: str, default: object) -> object:
    """Take the first member that fits exactly, then the first that fits at all."""
    if value is None and NoneType in args:
        return None
    members = [member for member in args if member is not NoneType]
    exact = [member for member in members if type(value) is member]
    errors = []
    for member in exact + members:
        try:
            return fill_value(member, value, key, default)
        except ValueError as error:
            errors.append(error)
    if len(members) == 1 or exact:
        raise errors[0]
    named = [member for member in members if member is not int or float not in members]
    expected = " or ".join(dict.fromkeys(_name(member) for member in named))
    raise ValueError(f"{_the(key)} must be {expected}; got {in_short(value)}")


def _list(origin: Callable[..., Any], args: tuple[Any, ...], values: object, key: str) -> object:
    if not isinstance(values, list | tuple):
        raise ValueError(f"{_the(key)} must be a list in brackets; got {in_short(values)}")
    kinds = [args[0]] * len(values) if origin is list or args[-1] is ... else list(args)
    if len(kinds) != len(values):
        raise ValueError(f"{_the(key)} must hold {len(kinds)} values; got {len(values)}")
    numbered = enumerate(zip(kinds, values, strict=True), start=1)
    return origin(fill_value(kind, item, f"{key} (item {at})") for at, (kind, item) in numbered)


def _scalar(hint: Any, value: Any, key: str) -> object:  # noqa: ANN401
    wrong = ValueError(f"{_the(key)} must be {_name(hint)}; got {in_short(value)}")
    accepted: Any = {float: (int, float), Path: str, date: date}.get(hint, hint)
    if not isinstance(value, accepted) or (isinstance(value, bool) and hint is not bool):
        raise wrong
    if hint is date and isinstance(value, datetime):
        raise wrong
    if isinstance(value, str) and (half := _SURROGATE.search(value)):
        code = f"\\u{ord(half[0]):04x}"
        raise ValueError(f"{_the(key)} holds {code}, half a character; it cannot be written")
    if hint is Path:
        if "\0" in value:
            raise ValueError(f"{_the(key)} holds a NUL, which no path does")
        return Path(value)
    if isinstance(value, int) and not -_MAX_INT <= value < _MAX_INT:
        raise ValueError(f"{_the(key)} is a number beyond 64 bits")
    if hint is float:
        value = float(value)
        if not math.isfinite(value):
            raise ValueError(f"{_the(key)} must be a finite number; got {value}")
    return value


def _choice(values: Mapping[Any, object], value: object, key: str) -> object:
    for choice, member in values.items():
        if type(value) is type(choice) and value == choice:
            return member
    listed = ", ".join("true" if v is True else "false" if v is False else repr(v) for v in values)
    raise ValueError(f"{_the(key)} must be one of {listed}; got {in_short(value)}")


def _table(value: object, key: str, expected: str) -> Mapping[str, object]:
    if isinstance(value, Mapping):
        return value
    expected = expected if key else "an object, or a file of keys and tables"
    raise ValueError(f"{_the(key)} must be {expected}; got {in_short(value)}")


def _under(key: str, name: object) -> str:
    text = str(name) if isinstance(name, str) and _PLAIN.fullmatch(name) else in_short(name)
    return f"{key}.{text}" if key else text


def _the(key: str) -> str:
    return key or "the whole"


def _name(hint: Any) -> str:  # noqa: ANN401
    if hint in _NAMES:
        return _NAMES[hint]
    if get_origin(hint) is Literal:
        return "one of " + ", ".join(map(repr, get_args(hint)))
    if get_origin(hint) in (tuple, list):
        return "a list in brackets"
    return "a table"


def _default(field: Field[Any]) -> object:
    return field.default if field.default_factory is MISSING else field.default_factory()


class _Short(reprlib.Repr):
    """A repr of one line that neither recurses deep nor writes out long numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel, self.maxstring, self.maxother = 2, 60, 60
        self.maxdict = self.maxlist = self.maxtuple = 4

    def repr(self, x: object) -> str:
        """Return the whole, cut once more where its parts add up."""
        text = super().repr(x)
        return text if len(text) <= 100 else f"{text[:60]}...{text[-20:]}"

    def repr_int(self, x: int, level: int) -> str:
        """Return a number, or how long it is; Python writes no number of thousands of digits."""
        return str(x) if x.bit_length() <= 128 else f"a number of {x.bit_length()} bits"

    def repr_date(self, x: date | time, level: int) -> str:
        """Return a date as TOML writes it."""
        return x.isoformat()

    repr_datetime = repr_time = repr_date


_SHORT = _Short()
