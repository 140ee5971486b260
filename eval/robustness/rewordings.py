"""The same query written otherwise: typing errors, order, case, synonyms, and its negation."""

import random
import re
import tomllib
from collections.abc import Callable, Sequence
from functools import cache
from importlib import resources
from pathlib import Path
from string import capwords
from typing import Literal, get_args

from embedder.files.lines import read_lines

RewordingKind = Literal["typing", "order", "case", "synonym", "negation"]
"""How a query is reworded. Each keeps what is asked, but for a negation."""
KINDS: tuple[RewordingKind, ...] = get_args(RewordingKind)

Groups = tuple[tuple[str, ...], ...]
"""Words and phrases that stand for each other."""
_WordPlace = tuple[tuple[int, int], tuple[str, ...]]
"""Where a word of a text begins and ends, and its group."""

_WORD = re.compile(r"[^\W\d_]{4,}")  # letters only, so many that a reader sees what was meant
_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_BESIDE = {
    letter: row[max(0, at - 1) : at] + row[at + 1 : at + 2]
    for row in _ROWS
    for at, letter in enumerate(row)
}
_NEGATIONS = re.compile(r"\b(not|no|never|without)\s+", re.IGNORECASE)
_VERB = re.compile(
    r"\b(is|are|was|were|do|does|did|can|could|should|would|will|may|might|must|has|have|had)\b",
    re.IGNORECASE,
)
_MORE = 4  # draws for each rewording that is wanted, since some come twice


def reword(text: str, kind: RewordingKind, count: int, seed: int, groups: Groups) -> list[str]:
    """Return at most so many different rewordings of a query; none where there is none.

    The same text, kind and seed give the same ones, whatever other queries there are.

    Args:
        text: of the query.
        kind: of rewording.
        count: most rewordings.
        seed: of what is drawn.
        groups: what stands for each other, for synonyms.
    """
    draw = random.Random(f"{seed} {kind} {text}")
    places = _find_words(text, groups) if kind == "synonym" else []
    makers: dict[RewordingKind, Callable[[], str]] = {
        "typing": lambda: _mistype(text, draw),
        "order": lambda: _shuffle(text, draw),
        "case": lambda: draw.choice((text.upper(), text.lower(), capwords(text))),
        "synonym": lambda: _replace_word(text, draw, places),
        "negation": lambda: _negate(text),
    }
    found: dict[str, None] = {}
    for _ in range(_MORE * count):
        changed = makers[kind]()
        if changed != text and len(found) < count:
            found[changed] = None
    return list(found)


def _mistype(text: str, draw: random.Random) -> str:
    """Swap, drop, double or miss a letter inside a word, as fingers do."""
    words = list(_WORD.finditer(text))
    if not words:
        return text
    word = draw.choice(words)
    at = draw.randrange(word.start() + 1, word.end() - 1)
    letter, after = text[at], text[at + 1]
    beside = _BESIDE.get(letter.lower(), "")
    typed = [after + letter, after, letter * 2 + after]
    if beside:
        missed = draw.choice(beside)
        typed.append((missed.upper() if letter.isupper() else missed) + after)
    return text[:at] + draw.choice(typed) + text[at + 2 :]


def _shuffle(text: str, draw: random.Random) -> str:
    words = text.split()
    shuffled = words.copy()
    draw.shuffle(shuffled)
    return text if shuffled == words else " ".join(shuffled)


def _find_words(text: str, groups: Groups) -> list[_WordPlace]:
    """Return where words and phrases of the groups stand, each with its group."""
    lowered = text.lower()
    if len(lowered) != len(text):  # a letter that is two in lower case: places would differ
        return []
    return [
        (match.span(), group)
        for group in groups
        for phrase in group
        for match in re.finditer(rf"(?<!\w){re.escape(phrase)}(?!\w)", lowered)
    ]


def _replace_word(text: str, draw: random.Random, places: Sequence[_WordPlace]) -> str:
    """Put another word or phrase of its group in the place of one; a capital stays one."""
    if not places:
        return text
    (start, end), group = draw.choice(places)
    other = draw.choice([phrase for phrase in group if phrase != text[start:end].lower()])
    if text[start].isupper():
        other = other[0].upper() + other[1:]
    return text[:start] + other + text[end:]


def _negate(text: str) -> str:
    """Take a negation away, else put one behind the first auxiliary verb, else before all."""
    if _NEGATIONS.search(text):
        return _NEGATIONS.sub("", text, count=1)
    if verb := _VERB.search(text):
        return f"{text[: verb.end()]} not{text[verb.end() :]}"
    return f"not {text}"


@cache
def own_synonyms() -> Groups:
    """Return the groups of English words that come along."""
    text = resources.files("eval.robustness").joinpath("synonyms.toml").read_text("utf-8")
    return check_groups(tomllib.loads(text)["groups"])


def read_groups(path: Path) -> Groups:
    """Read groups from a file: on each line words or phrases, parted by tabs.

    Raises:
        OSError: there is no such file, or it cannot be read.
        ValueError: a line has fewer than two, or there is none.
    """
    groups: list[tuple[str, ...]] = []
    for place, line in read_lines(path):
        if line.strip():
            try:
                groups.extend(check_groups([line.split("\t")]))
            except ValueError as error:
                raise ValueError(f"{place}: {error}") from error
    if not groups:
        raise ValueError(f"{path} holds no words that stand for each other")
    return tuple(groups)


def check_groups(groups: Sequence[Sequence[str]]) -> Groups:
    """Return groups in lower case.

    Raises:
        ValueError: a group has fewer than two different words.
    """
    lowered = tuple(tuple(dict.fromkeys(word.strip().lower() for word in one)) for one in groups)
    for group in lowered:
        if len(group) < 2 or not all(group):
            raise ValueError(
                f"a group of synonyms needs two different words or phrases; got {list(group)}"
            )
    return lowered
