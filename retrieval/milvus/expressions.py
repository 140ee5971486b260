"""Filters as expressions of Milvus, where both mean the same."""

from index.filters.column import BOOLEAN, LIST, FieldPath, Relation, Scalar, key_of
from index.filters.expression import (
    AllOf,
    AnyOf,
    Compared,
    Expression,
    HasItem,
    Negated,
    OneOf,
    write_field,
)
from retrieval.milvus.connection import quote
from retrieval.milvus.facts import FACTS, KINDS, fact_name, mark, write_bool

_SAFE = 2**53  # above it whole numbers and fractions are not compared exactly
_NEVER = 'key == ""'  # no key is empty


def write_expression(expression: Expression) -> str:
    """Translate a filter.

    A field that a document lacks makes a comparison of Milvus neither true nor false, which "not"
    would leave so; each condition therefore says first that the field is there.

    Raises:
        ValueError: Milvus has nothing that means the same.
    """
    match expression:
        case Negated(part):
            return f"not ({write_expression(part)})"
        case AllOf(parts):
            return " and ".join(f"({write_expression(part)})" for part in parts)
        case AnyOf(parts):
            return " or ".join(f"({write_expression(part)})" for part in parts)
        case Compared(field, relation, value):
            return _compare(field, relation, value)
        case OneOf(field, values):
            return " or ".join(_compare(field, "==", value) for value in values) or _NEVER
        case HasItem(field, value):
            path = _path(LIST, field)
            return f"(exists {path} and json_contains({path}, {quote(mark(value))}))"
    raise ValueError(f"Milvus has no such condition as {type(expression).__name__}")


def _compare(field: FieldPath, relation: Relation, value: Scalar) -> str:
    if value is None:
        there = " or ".join(f"exists {_path(kind, field)}" for kind in KINDS)
        return f"not ({there})"
    kind = key_of(value)[0]
    path = _path(kind, field)
    literal = quote(write_bool(value)) if kind == BOOLEAN else _literal(field, value)
    return f"(exists {path} and {path} {relation} {literal})"


def _path(kind: int, field: FieldPath) -> str:
    return f'{FACTS}["{fact_name(kind, field)}"]'


def _literal(field: FieldPath, value: Scalar) -> str:
    if isinstance(value, str):
        return quote(value)
    assert value is not None
    if abs(value) > _SAFE:
        raise ValueError(
            f"filter: Milvus compares numbers up to 2**53 exactly; got {value} for "
            f"{write_field(field)}"
        )
    return repr(value)
