"""Read a filter: 'year >= 2020 and lang == "de" and "tax" in tags'; errors point at the place."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NoReturn, cast

from embedder.files.config_file import parse_json
from index.filters.column import FieldPath, Relation, Scalar
from index.filters.expression import (
    NAME,
    RESERVED,
    WORDS,
    AllOf,
    AnyOf,
    Compared,
    Expression,
    Filter,
    HasItem,
    Negated,
    OneOf,
)

MAX_DEPTH = 50  # of parentheses and "not" within each other
MAX_LENGTH = 1_000_000  # characters
_SHOWN = 20  # characters of the place that an error quotes
_TOKEN = re.compile(
    rf"""(?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
    |(?P<number>-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?(?![\w.]|-[0-9]))
    |(?P<name>{NAME}|`[^`]+`)
    |(?P<mark>==|!=|<=|>=|[<>()\[\],.])""",
    re.VERBOSE | re.DOTALL,
)
_QUOTES = re.compile(r"\\.|\"", re.DOTALL)
_SPACE = re.compile(r"\s*")
_RELATIONS = ("==", "!=", "<", "<=", ">", ">=")
_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}  # 2020 < year is year > 2020
_NAMED = {"true": True, "false": False, "null": None}
_HINTS = {
    "=": 'write "==" for equal, ">=" for at least',
    "!": 'write "!=" for unequal, "not" for the opposite',
    "&": 'write "and"',
    "|": 'write "or"',
    "`": "a name in back quotes ends with another",
    '"': "a text ends with another quote",
    "'": "a text ends with another quote",
    "0": "this is no number of JSON; a date is a text, in quotes",
    "-": "names with a hyphen stand in back quotes, dates in quotes as texts",
}


@dataclass(frozen=True, slots=True)
class _Token:
    """A piece of a filter: kind is text, number, name, mark, word or end."""

    kind: str
    text: str
    at: int


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


class _Parser:
    """Goes through the tokens of a filter once, from left to right."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = self._split()
        self._now = next(self._tokens)
        self._depth = 0

    def read(self) -> Expression:
        """Read all of it."""
        if self._now.kind == "end":
            raise ValueError("the filter is empty; give a condition, as in 'year >= 2020'")
        expression = self._any_of()
        if self._now.kind != "end":
            self._refuse('expected "and", "or" or the end', self._now)
        return expression

    def read_field(self) -> FieldPath:
        """Read a field that stands alone."""
        if self._now.kind != "name":
            self._refuse("expected the name of a field", self._now)
        field = self._field()
        if self._now.kind != "end":
            self._refuse("expected one name, in back quotes where it is no word", self._now)
        return field

    def _split(self) -> Iterator[_Token]:
        at = 0
        while True:
            found = _SPACE.match(self._text, at)
            at = found.end() if found else at
            if at == len(self._text):
                yield _Token("end", "", at)
                return
            match = _TOKEN.match(self._text, at)
            if match is None:
                sign = self._text[at]
                hint = _HINTS.get("0" if sign.isdecimal() else sign, "this is no part of a filter")
                self._refuse(hint, _Token("", sign, at))
            kind = str(match.lastgroup)
            yield _Token("word" if match[0] in WORDS else kind, match[0], at)
            at = match.end()

    def _any_of(self) -> Expression:
        parts = self._joined(self._all_of, "or")
        return parts[0] if len(parts) == 1 else AnyOf(parts)

    def _all_of(self) -> Expression:
        parts = self._joined(self._part, "and")
        return parts[0] if len(parts) == 1 else AllOf(parts)

    def _joined(self, read: Callable[[], Expression], word: str) -> tuple[Expression, ...]:
        parts = [read()]
        while self._take(word):
            parts.append(read())
        return tuple(parts)

    def _part(self) -> Expression:
        opening = self._now
        if not (opening.text in ("not", "(") and opening.kind in ("word", "mark")):
            return self._condition()
        self._depth += 1
        if self._depth > MAX_DEPTH:
            self._refuse(f"filters are at most {MAX_DEPTH} deep", opening)
        self._advance()
        if opening.text == "not":
            expression: Expression = Negated(self._part())
        else:
            expression = self._any_of()
            if not self._take(")"):
                self._refuse('expected "and", "or" or ")"', self._now)
        self._depth -= 1
        return expression

    def _condition(self) -> Expression:
        start = self._now
        field, value = self._operand()
        sign = self._now
        if sign.text in _RELATIONS and sign.kind == "mark":
            self._advance()
            return self._compared((field, value), sign, start)
        negated = self._take("not")
        if not self._take("in"):
            expected = '"in"' if negated else 'a comparison, as in == 2020, or "in"'
            self._refuse(f"expected {expected}", self._now)
        expression = self._contained(field, value, start)
        return Negated(expression) if negated else expression

    def _compared(
        self, left: tuple[FieldPath | None, Scalar], sign: _Token, start: _Token
    ) -> Expression:
        place = self._now
        if place.text == "[" and place.kind == "mark":
            self._refuse('a list goes with "in"', place)
        right = self._operand()
        if self._now.text in _RELATIONS and self._now.kind == "mark":
            self._refuse('one comparison at a time: join two by "and"', self._now)
        if (left[0] is None) == (right[0] is None):
            both = "two values" if left[0] is None else "two fields"
            self._refuse(f"a field is compared with a value; got {both}", start)
        field, value = left[0] or right[0], right[1] if left[0] else left[1]
        relation = sign.text if left[0] else _MIRRORED.get(sign.text, sign.text)
        assert field is not None
        if relation in _MIRRORED and (value is None or isinstance(value, bool)):
            self._refuse("only numbers and texts have an order; use == or !=", sign)
        if relation == "!=":
            return Negated(Compared(field, "==", value))
        return Compared(field, cast(Relation, relation), value)

    def _contained(self, field: FieldPath | None, value: Scalar, start: _Token) -> Expression:
        place = self._now
        if self._take("["):
            if field is None:
                self._refuse("before a list stands a field", start)
            return OneOf(field, self._listed())
        holder, _ = self._operand()
        if holder is None:
            self._refuse('after "in" stands a field, or a list as in ["de", "en"]', place)
        if field is not None:
            self._refuse('before "in" and a field stands a value, as in "tax" in tags', start)
        return HasItem(holder, value)

    def _listed(self) -> tuple[Scalar, ...]:
        values: list[Scalar] = []
        while not self._take("]"):
            if values and not self._take(","):
                self._refuse('expected "," or "]"', self._now)
            place = self._now
            field, value = self._operand()
            if field is not None:
                self._refuse("a list has values; a text stands in quotes", place)
            values.append(value)
        return tuple(values)

    def _operand(self) -> tuple[FieldPath | None, Scalar]:
        """Read a field, or a value: the field is None then."""
        token = self._now
        if token.kind == "name":
            return self._field(), None
        self._advance()
        if token.kind == "word" and token.text in _NAMED:
            return None, _NAMED[token.text]
        if token.kind in ("text", "number"):
            return None, self._value(token)
        expected = "a field, or a value: a text in quotes, a number, true, false or null"
        self._refuse(f"expected {expected}", token)

    def _field(self) -> FieldPath:
        names = [self._name()]
        while self._take("."):
            if self._now.kind != "name":
                self._refuse(
                    "after a dot stands a name, in back quotes where it is a word of filters",
                    self._now,
                )
            names.append(self._name())
        return tuple(names)

    def _name(self) -> str:
        token = self._now
        if (right := token.text.lower()) in RESERVED:
            right = "null" if right == "none" else right
            self._refuse(f'write "{right}", or `{token.text}` for a field of that name', token)
        self._advance()
        return token.text.strip("`")

    def _value(self, token: _Token) -> Scalar:
        text = token.text
        if text[0] == "'":
            written = {"\\'": "'", '"': '\\"'}
            inner = _QUOTES.sub(lambda found: written.get(found[0], found[0]), text[1:-1])
            text = f'"{inner}"'
        try:
            return cast(Scalar, parse_json(text, "", encodable=True))
        except ValueError as error:
            self._refuse(f"no value of JSON{error}", token)

    def _take(self, text: str) -> bool:
        """Go on where the next token is a word or mark; tell whether it was."""
        taken = self._now.text == text and self._now.kind in ("word", "mark")
        if taken:
            self._advance()
        return taken

    def _advance(self) -> None:
        if self._now.kind != "end":
            self._now = next(self._tokens)

    def _refuse(self, reason: str, token: _Token) -> NoReturn:
        rest = self._text[token.at :].split("\n")[0]
        shown = rest if len(rest) <= _SHOWN else rest[: _SHOWN - 1] + "…"
        place = f"at character {token.at + 1}, {shown!r}" if rest else "at its end"
        raise ValueError(f"filter, {place}: {reason}")
