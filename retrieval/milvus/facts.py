"""Metadata by kind and field, so that no server compares values of different kinds.

Servers differ in what a comparison of a number with a text is, and whether true is 1. Here field
year of {"year": 2020} is fact n.year, author.name is t.author.name; lists hold marked texts.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote as percent_encode

from index.filters.column import (
    BOOLEAN,
    LIST,
    NULL,
    NUMBER,
    OBJECT,
    TEXT,
    FieldPath,
    Scalar,
    key_of,
)

FACTS = "facts"
KINDS: Mapping[int, str] = {BOOLEAN: "b", NUMBER: "n", TEXT: "t", LIST: "l", OBJECT: "o"}


def list_facts(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return every field that is not null, also those within objects, by `fact_name`."""
    facts: dict[str, Any] = {}
    waiting: list[tuple[FieldPath, Any]] = [((name,), each) for name, each in metadata.items()]
    while waiting:
        field, value = waiting.pop()
        kind = key_of(value)[0]
        if kind == OBJECT:
            waiting += [((*field, name), each) for name, each in value.items()]
        if kind != NULL:
            facts[fact_name(kind, field)] = _fact(kind, value)
    return facts


def fact_name(kind: int, field: FieldPath) -> str:
    """Return the name of a field's values of one kind; letters, digits and signs of ASCII."""
    names = (percent_encode(name, safe="").replace(".", "%2E") for name in field)
    return ".".join((KINDS[kind], *names))


def mark(value: Scalar) -> str:
    """Write a value with its kind, alike for values that are equal in JSON."""
    kind = key_of(value)[0]
    if kind == NUMBER and isinstance(value, int | float):
        return f"n{int(value)}" if value == int(value) else f"n{value!r}"
    return f"{KINDS.get(kind, 'z')}{write_bool(value) if kind == BOOLEAN else value or ''}"


def write_bool(value: object) -> str:
    """Write true or false as a text: some servers take true for 1."""
    return "true" if value else "false"


def _fact(kind: int, value: Any) -> Any:  # noqa: ANN401  (whatever JSON holds)
    if kind == LIST:
        return [mark(item) for item in value if not isinstance(item, list | dict)]
    if kind == BOOLEAN:
        return write_bool(value)
    return 1 if kind == OBJECT else value
