"""What a filter says: conditions on fields, and how they are joined; each gives a mask."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Protocol

import numpy as np

from index.filters.column import Column, FieldPath, Mask, Relation, Scalar

NAME = r"[^\W\d]\w*"
WORDS = ("and", "or", "not", "in", "true", "false", "null")
RESERVED = (*WORDS, "none")
"""Words that no bare name is, however they are written: None is somebody's null."""


def write_field(field: FieldPath) -> str:
    """Write a field as a filter names it: author.name, `publication date`."""
    plain = [re.fullmatch(NAME, name) and name.lower() not in RESERVED for name in field]
    return ".".join(name if bare else f"`{name}`" for name, bare in zip(field, plain, strict=True))


ColumnsByField = Mapping[FieldPath, Column]


class Expression(Protocol):
    """A condition that each document meets or does not meet."""

    def mask(self, columns: ColumnsByField) -> Mask:
        """Return (documents,) True where it is met."""
        ...

    def conditions(self) -> "Iterator[Condition]":
        """Yield the conditions on single fields, from left to right."""
        ...


@dataclass(frozen=True, slots=True)
class Compared:
    """A field stands so to a value of the same kind; a missing field is null."""

    field: FieldPath
    relation: Relation
    value: Scalar

    @property
    def values(self) -> tuple[Scalar, ...]:
        """What the field is compared with."""
        return (self.value,)

    def mask(self, columns: ColumnsByField) -> Mask:
        """See `Expression`."""
        return columns[self.field].compare(self.relation, self.value)

    def conditions(self) -> "Iterator[Condition]":
        """See `Expression`."""
        yield self


@dataclass(frozen=True, slots=True)
class OneOf:
    """A field is one of some values."""

    field: FieldPath
    values: tuple[Scalar, ...]

    def mask(self, columns: ColumnsByField) -> Mask:
        """See `Expression`."""
        return columns[self.field].is_one_of(self.values)

    def conditions(self) -> "Iterator[Condition]":
        """See `Expression`."""
        yield self


@dataclass(frozen=True, slots=True)
class HasItem:
    """A field is a list with a value in it."""

    field: FieldPath
    value: Scalar

    @property
    def values(self) -> tuple[Scalar, ...]:
        """What the list is to have."""
        return (self.value,)

    def mask(self, columns: ColumnsByField) -> Mask:
        """See `Expression`."""
        return columns[self.field].holds(self.value)

    def conditions(self) -> "Iterator[Condition]":
        """See `Expression`."""
        yield self


Condition = Compared | OneOf | HasItem


@dataclass(frozen=True, slots=True)
class Negated:
    """What an expression is not met by."""

    part: Expression

    def mask(self, columns: ColumnsByField) -> Mask:
        """See `Expression`."""
        return ~self.part.mask(columns)

    def conditions(self) -> Iterator[Condition]:
        """See `Expression`."""
        return self.part.conditions()


@dataclass(frozen=True, slots=True)
class AllOf:
    """Every part is met."""

    parts: tuple[Expression, ...]

    def mask(self, columns: ColumnsByField) -> Mask:
        """See `Expression`."""
        return reduce(np.logical_and, (part.mask(columns) for part in self.parts))

    def conditions(self) -> Iterator[Condition]:
        """See `Expression`."""
        return (each for part in self.parts for each in part.conditions())


@dataclass(frozen=True, slots=True)
class AnyOf:
    """A part is met."""

    parts: tuple[Expression, ...]

    def mask(self, columns: ColumnsByField) -> Mask:
        """See `Expression`."""
        return reduce(np.logical_or, (part.mask(columns) for part in self.parts))

    def conditions(self) -> Iterator[Condition]:
        """See `Expression`."""
        return (each for part in self.parts for each in part.conditions())


@dataclass(frozen=True, slots=True)
class Filter:
    """An expression and how it was written.

    Attributes:
        text: as people wrote it, without spaces around.
        expression: what it says.
    """

    text: str
    expression: Expression

    @property
    def fields(self) -> tuple[FieldPath, ...]:
        """Every field that it names, once, from left to right."""
        return tuple(dict.fromkeys(each.field for each in self.expression.conditions()))
