"""Read a TOML file into a frozen dataclass: every key known, every value of its type."""

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass, replace
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

Kind = TypeVar("Kind")
_NAMES = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}


def read_config(path: Path, kind: type[Kind]) -> Kind:
    """Read a file whose keys are the fields of `kind`, and its tables those of dataclasses in it.

    Keys that are left out keep their defaults, also those of a table: the default of the table
    as a whole counts, not that of its class.

    Raises:
        ValueError: names the file, the key, and what was expected.
        OSError: the file cannot be read.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
        read: Kind = _filled(kind, None, data, "")
    except ValueError as error:  # what tomllib and wrong encodings raise, too
        raise ValueError(f"{path}: {error}") from error
    return read


def _filled(kind: type[Any], default: object, data: Mapping[str, Any], table: str) -> Any:  # noqa: ANN401
    hints = get_type_hints(kind)
    known = {field.name: field for field in fields(kind)}
    for key in data:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
            raise ValueError(f"unknown key {table}{key}; {hint}")
    values = {}
    for key, given in data.items():
        held = getattr(default, key) if default is not None else _default(known[key])
        values[key] = _value(hints[key], held, given, table + key)
    if default is not None:
        return replace(default, **values)  # type: ignore[type-var]  # it is a dataclass
    missing = [f.name for f in known.values() if f.name not in data and not _has_default(f)]
    if missing:
        raise ValueError(f"{table}{missing[0]} is missing, and there is no default")
    return kind(**values)


def _value(hint: Any, held: object, given: object, key: str) -> object:  # noqa: ANN401
    """Return a value as the type of its field; `held` is the default of a table."""
    if get_origin(hint) in (Union, UnionType):
        (hint,) = (one for one in get_args(hint) if one is not NoneType)
    if is_dataclass(hint):
        assert isinstance(hint, type)
        if not isinstance(given, Mapping):
            raise ValueError(f"{key} is a table, [{key}]; got {given!r}")
        return _filled(hint, held if isinstance(held, hint) else None, given, f"{key}.")
    if get_origin(hint) is tuple:
        (item, _) = get_args(hint)
        if not isinstance(given, list):
            raise ValueError(f"{key} must be a list in brackets; got {given!r}")
        return tuple(_value(item, None, one, key) for one in given)
    fits = isinstance(given, (int, float) if hint is float else hint)
    if not fits or (isinstance(given, bool) and hint is not bool):
        raise ValueError(f"{key} must be {_NAMES[hint]}; got {given!r}")
    return float(given) if hint is float and isinstance(given, int) else given


def _has_default(field: Field[Any]) -> bool:
    return field.default is not MISSING or field.default_factory is not MISSING


def _default(field: Field[Any]) -> object:
    if field.default_factory is not MISSING:
        return field.default_factory()
    return None if field.default is MISSING else field.default
