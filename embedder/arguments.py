"""Checks of arguments: one line that names the argument, what it must be, and what came."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from numbers import Integral
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

_NAMES: Mapping[Any, str] = {
    bool: "True or False",
    int: "a whole number",
    float: "a number",
    str: "a str",
    Path: "a Path",
    NoneType: "None",
    Mapping: "a dict",
    tuple: "a list",
    Iterable: "an iterable",
}


def check_kind(value: object, kinds: type | UnionType, name: str, expected: str) -> None:
    """Refuse a value of another type.

    Args:
        value: of the argument.
        kinds: its type, or several.
        name: of the argument, as errors begin with it.
        expected: what it must be, in words.

    Raises:
        TypeError: it is of none of them.
    """
    if not isinstance(value, kinds):
        raise TypeError(f"{name} must be {expected}; got {type(value).__name__}")


def check_text(value: object, name: str, advice: str = "") -> str:
    """Return a text as it is; `advice` is what the error ends with.

    Raises:
        TypeError: it is no str, such as a list of texts.
    """
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a str; got {type(value).__name__}{advice}")
    return value


def check_query(value: object, name: str, advice: str = "") -> None:
    """Refuse what no encoder can read as a query; see `check_text`.

    Raises:
        TypeError: it is no str.
        ValueError: it holds half of a character.
    """
    text = check_text(value, name, advice)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"{name} is not legal Unicode ({error})") from None


def check_count(value: object, name: str, least: int | None = None) -> int:
    """Return a whole number, also one of NumPy, as an int.

    Raises:
        TypeError: it is none; True is none either.
        ValueError: it is below `least`.
    """
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"{name} must be a whole number; got {value!r:.60}")
    if least is not None and value < least:
        raise ValueError(f"{name} must be at least {least}; got {value}")
    return int(value)


def check_path(value: object, name: str, expected: str = "a str or a Path") -> None:
    """Refuse what is no path or name, and an empty one, which would be the working directory.

    Raises:
        TypeError: it is no str or Path.
        ValueError: it is empty.
    """
    check_kind(value, str | Path, name, expected)
    if not str(value):
        raise ValueError(f"{name} must be {expected}; got an empty one")


def check_names(value: object, name: str) -> None:
    """Refuse what is no list of names; None is legal.

    Raises:
        TypeError: it is a str, whose letters are no names, or holds something else.
    """
    if value is not None and not _fits(value, Sequence[str]):
        raise TypeError(f"{name} must be a list of names; got {value!r:.60}")


def check_options(value: object, kind: type, name: str = "options") -> None:
    """Refuse options of another class; None is legal.

    Raises:
        TypeError: they are of another class, such as a dict.
    """
    if value is not None:
        check_kind(value, kind, name, f"{kind.__name__}(...)")


def check_fields(options: Any) -> None:  # noqa: ANN401  (any dataclass)
    """Refuse a dataclass of which a field is of another type than it is declared.

    Raises:
        TypeError: names the first such field.
    """
    hints = get_type_hints(type(options))
    for name in (field.name for field in fields(options)):
        hint, value = hints[name], getattr(options, name)
        if not _fits(value, hint):
            raise TypeError(f"{name} must be {_describe(hint)}; got {value!r:.60}")


def _fits(value: object, hint: Any) -> bool:  # noqa: ANN401
    """Tell whether a value is of a declared type; items of lists and dicts too."""
    origin, parts = get_origin(hint), get_args(hint)
    if hint is Any or origin is Literal:  # whose values are checked where they are known
        return True
    if origin in (Union, UnionType):
        return any(_fits(value, part) for part in parts)
    if hint in (int, float):
        return isinstance(value, int | hint) and not isinstance(value, bool)
    kinds = (tuple, list) if origin is tuple else origin or hint
    if not isinstance(value, kinds) or (origin and isinstance(value, str | bytes)):
        return False
    if isinstance(value, Mapping) and parts:
        return all(_fits(key, parts[0]) and _fits(item, parts[1]) for key, item in value.items())
    if isinstance(value, Sequence) and origin is not None:
        return all(_fits(item, parts[0]) for item in value)
    return True


def _describe(hint: Any) -> str:  # noqa: ANN401
    origin, parts = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return " or ".join(map(_describe, parts))
    if hint in _NAMES:
        return _NAMES[hint]
    if origin is None:
        return f"{hint.__name__}(...)"
    items = [_describe(part).removeprefix("a ") for part in parts if part is not ...]
    return f"{_NAMES[origin]} of {' -> '.join(items)}"
