"""The words, marks and values that a filter is written in, one after the other."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NoReturn

from index.filters.expression import NAME, WORDS

_SHOWN = 20  # characters of the place that an error quotes
JSON_TEXT = r'"(?:[^"\\]|\\.)*"'
NUMBER = r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?(?![\w.]|-[0-9])"
_TOKEN = re.compile(
    rf"""(?P<text>{JSON_TEXT}|'(?:[^'\\]|\\.)*')
    |(?P<number>{NUMBER})
    |(?P<name>{NAME}|`[^`]+`)
    |(?P<mark>==|!=|<=|>=|[<>()\[\],.])""",
    re.VERBOSE | re.DOTALL,
)
_SPACE = re.compile(r"\s*")
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
class FilterToken:
    """A piece of a filter: kind is text, number, name, mark, word or end."""

    kind: str
    text: str
    at: int


class FilterTokens:
    """Goes through the tokens of a text once, from left to right.

    Attributes:
        text: all of it.
        now: the token that is to be read.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self._at = 0  # where the next token is looked for
        self._tokens = self._split()
        self.now = next(self._tokens)

    def _split(self) -> Iterator[FilterToken]:
        while True:
            found = _SPACE.match(self.text, self._at)
            at = found.end() if found else self._at
            if at == len(self.text):
                yield FilterToken("end", "", at)
                return
            match = _TOKEN.match(self.text, at)
            if match is None:
                sign = self.text[at]
                hint = _HINTS.get("0" if sign.isdecimal() else sign, "this is no part of a filter")
                self.refuse(hint, FilterToken("", sign, at))
            kind = str(match.lastgroup)
            self._at = match.end()
            yield FilterToken("word" if match[0] in WORDS else kind, match[0], at)

    def take(self, text: str) -> bool:
        """Go on where the next token is a word or mark; tell whether it was."""
        taken = self.now.text == text and self.now.kind in ("word", "mark")
        if taken:
            self.advance()
        return taken

    def advance(self) -> None:
        """Go on, where this is not the end."""
        if self.now.kind != "end":
            self.now = next(self._tokens)

    def skip(self, end: int) -> None:
        """Go on with the token that stands at a place or behind it."""
        self._at = end
        self.advance()

    def refuse(self, reason: str, token: FilterToken) -> NoReturn:
        """Raise what is wrong with a token, in one line that points at it."""
        rest = self.text[token.at :].split("\n")[0]
        shown = rest if len(rest) <= _SHOWN else rest[: _SHOWN - 1] + "…"
        place = f"at character {token.at + 1}, {shown!r}" if rest else "at its end"
        raise ValueError(f"filter, {place}: {reason}")
