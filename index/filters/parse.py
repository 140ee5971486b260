"""Read a filter: 'year >= 2020 and lang == "de" and "tax" in tags'; errors point at the place."""

import re
from collections.abc import Callable, Sequence
from typing import cast

from embedder.files import config_file
from embedder.files.config_file import parse_json
from index.filters.column import FieldPath, Relation, Scalar
from index.filters.expression import (
    RESERVED,
    AllOf,
    AnyOf,
    Compared,
    Expression,
    Filter,
    HasItem,
    Negated,
    OneOf,
)
from index.filters.tokens import JSON_TEXT, NUMBER, FilterToken, FilterTokens

MAX_DEPTH = 50  # of parentheses and "not" within each other
MAX_LENGTH = 1_000_000  # characters
_ALIKE = re.compile(  # values of a list up to one that is written in another way
    rf"""(?P<texts>{JSON_TEXT}(?:\s*,\s*{JSON_TEXT})*+)
    |(?P<plain>'[^'"\\]*'(?:\s*,\s*'[^'"\\]*')*+)
    |(?P<numbers>{NUMBER}(?:\s*,\s*{NUMBER})*+)""",
    re.VERBOSE | re.DOTALL,
)
_QUOTES = re.compile(r"\\.|\"", re.DOTALL)
_RELATIONS = ("==", "!=", "<", "<=", ">", ">=")
_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}  # 2020 < year is year > 2020
_NAMED = {"true": True, "false": False, "null": None}


def parse_filter(text: str) -> Filter:
    """Read a filter.

    Raises:
        TypeError: it is no str.
        ValueError: it is none, or longer or deeper than is read; one line, with the place.

    >>> parse_filter('"tax" in tags').expression
    HasItem(field=('tags',), value='tax')
    """
    if not isinstance(text, str):
        raise TypeError(f"a filter is a str, as in 'year >= 2020'; got {type(text).__name__}")
    if len(text) > MAX_LENGTH:
        raise ValueError(f"a filter has at most {MAX_LENGTH:,} characters; got {len(text):,}")
    return Filter(text.strip(), _Parser(text).read())


def parse_field(text: str) -> FieldPath:
    """Read the name of a field as filters have it: author.name, `publication date`.

    Raises:
        ValueError: it is none.
    """
    return _Parser(text).read_field()


class _Parser(FilterTokens):
    """Reads what a filter says."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0

    def read(self) -> Expression:
        """Read all of it."""
        if self.now.kind == "end":
            raise ValueError("the filter is empty; give a condition, as in 'year >= 2020'")
        expression = self._any_of()
        if self.now.kind != "end":
            self.refuse('expected "and", "or" or the end', self.now)
        return expression

    def read_field(self) -> FieldPath:
        """Read a field that stands alone."""
        if self.now.kind != "name":
            self.refuse("expected the name of a field", self.now)
        field = self._field()
        if self.now.kind != "end":
            self.refuse("expected one name, in back quotes where it is no word", self.now)
        return field

    def _any_of(self) -> Expression:
        parts = self._joined(self._all_of, "or")
        return parts[0] if len(parts) == 1 else AnyOf(parts)

    def _all_of(self) -> Expression:
        parts = self._joined(self._part, "and")
        return parts[0] if len(parts) == 1 else AllOf(parts)

    def _joined(self, read: Callable[[], Expression], word: str) -> tuple[Expression, ...]:
        parts = [read()]
        while self.take(word):
            parts.append(read())
        return tuple(parts)

    def _part(self) -> Expression:
        opening = self.now
        if not (opening.text in ("not", "(") and opening.kind in ("word", "mark")):
            return self._condition()
        self._depth += 1
        if self._depth > MAX_DEPTH:
            self.refuse(f"filters are at most {MAX_DEPTH} deep", opening)
        self.advance()
        if opening.text == "not":
            expression: Expression = Negated(self._part())
        else:
            expression = self._any_of()
            if not self.take(")"):
                self.refuse('expected "and", "or" or ")"', self.now)
        self._depth -= 1
        return expression

    def _condition(self) -> Expression:
        start = self.now
        field, value = self._operand()
        sign = self.now
        if sign.text in _RELATIONS and sign.kind == "mark":
            self.advance()
            return self._compared((field, value), sign, start)
        negated = self.take("not")
        if not self.take("in"):
            expected = '"in"' if negated else 'a comparison, as in == 2020, or "in"'
            self.refuse(f"expected {expected}", self.now)
        expression = self._contained(field, value, start)
        return Negated(expression) if negated else expression

    def _compared(
        self, left: tuple[FieldPath | None, Scalar], sign: FilterToken, start: FilterToken
    ) -> Expression:
        place = self.now
        if place.text == "[" and place.kind == "mark":
            self.refuse('a list goes with "in"', place)
        right = self._operand()
        if self.now.text in _RELATIONS and self.now.kind == "mark":
            self.refuse('one comparison at a time: join two by "and"', self.now)
        if (left[0] is None) == (right[0] is None):
            both = "two values" if left[0] is None else "two fields"
            self.refuse(f"a field is compared with a value; got {both}", start)
        field, value = left[0] or right[0], right[1] if left[0] else left[1]
        relation = sign.text if left[0] else _MIRRORED.get(sign.text, sign.text)
        assert field is not None
        if relation in _MIRRORED and (value is None or isinstance(value, bool)):
            self.refuse("only numbers and texts have an order; use == or !=", sign)
        if relation == "!=":
            return Negated(Compared(field, "==", value))
        return Compared(field, cast(Relation, relation), value)

    def _contained(self, field: FieldPath | None, value: Scalar, start: FilterToken) -> Expression:
        place = self.now
        if self.take("["):
            if field is None:
                self.refuse("before a list stands a field", start)
            return OneOf(field, self._listed())
        holder, _ = self._operand()
        if holder is None:
            self.refuse('after "in" stands a field, or a list as in ["de", "en"]', place)
        if field is not None:
            self.refuse('before "in" and a field stands a value, as in "tax" in tags', start)
        return HasItem(holder, value)

    def _listed(self) -> tuple[Scalar, ...]:
        values: list[Scalar] = []
        while not self.take("]"):
            if values and not self.take(","):
                self.refuse('expected "," or "]"', self.now)
            values += self._alike() or [self._item()]
        return tuple(values)

    def _item(self) -> Scalar:
        place = self.now
        field, value = self._operand()
        if field is not None:
            self.refuse("a list has values; a text stands in quotes", place)
        return value

    def _alike(self) -> Sequence[Scalar]:
        """Read values of a list that are written alike, of which there may be 100,000, at once."""
        run = _ALIKE.match(self.text, self.now.at)
        if run is None:
            return []
        written = run[0].replace("'", '"') if run["plain"] else run[0]
        try:
            values: list[Scalar] = parse_json(f"[{written}]", "", encodable=True)
        except ValueError:  # one by one, to point at the one that is wrong
            values = [self._item()]
            while self.now.at < run.end():
                self.advance()
                values.append(self._item())
            return values
        self.skip(run.end())
        return values

    def _operand(self) -> tuple[FieldPath | None, Scalar]:
        """Read a field, or a value: the field is None then."""
        token = self.now
        if token.kind == "name":
            return self._field(), None
        self.advance()
        if token.kind == "word" and token.text in _NAMED:
            return None, _NAMED[token.text]
        if token.kind in ("text", "number"):
            return None, self._value(token)
        expected = "a field, or a value: a text in quotes, a number, true, false or null"
        self.refuse(f"expected {expected}", token)

    def _field(self) -> FieldPath:
        names = [self._name()]
        while self.take("."):
            if self.now.kind != "name":
                self.refuse(
                    "after a dot stands a name, in back quotes where it is a word of filters",
                    self.now,
                )
            if len(names) == config_file.MAX_DEPTH:
                self.refuse(f"no field lies within {len(names)} others", self.now)
            names.append(self._name())
        return tuple(names)

    def _name(self) -> str:
        token = self.now
        if (right := token.text.lower()) in RESERVED:
            right = "null" if right == "none" else right
            self.refuse(f'write "{right}", or `{token.text}` for a field of that name', token)
        self.advance()
        return token.text.strip("`")

    def _value(self, token: FilterToken) -> Scalar:
        text = token.text
        if text[0] == "'":
            written = {"\\'": "'", '"': '\\"'}
            inner = _QUOTES.sub(lambda found: written.get(found[0], found[0]), text[1:-1])
            text = f'"{inner}"'
        try:
            return cast(Scalar, parse_json(text, "", encodable=True))
        except ValueError as error:
            self.refuse(f"no value of JSON{error}", token)
