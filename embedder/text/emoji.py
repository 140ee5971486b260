"""Emoji and pictographs as terms: where a sequence ends, and the terms that it stands for.

After UTS #51 and what Lucene's StandardTokenizer and ICUTokenizer do: a sequence (joined, toned,
a flag, a keycap) is one term. Beside it stand its parts, so that a thumb finds a toned thumb.
"""

from collections.abc import Iterator

import regex  # type: ignore[import-untyped]

_SELECTOR = r"[\N{VARIATION SELECTOR-15}\N{VARIATION SELECTOR-16}]"
_TONE, _JOINER = r"\p{Emoji_Modifier}", r"\N{ZERO WIDTH JOINER}"
_TAGS = r"[\U000E0020-\U000E007E]+\U000E007F"
_FLAG = r"\p{Regional_Indicator}{1,2}"
_KEYCAP = rf"[0-9#*]{_SELECTOR}?\N{{COMBINING ENCLOSING KEYCAP}}"
_EMOJI = r"[\p{Emoji}--[\x00-\x7F]]"
# What is a picture without a selector after it. Stars, arrows, bullets, currencies and signs of
# mathematics are not: prose uses them as it uses punctuation.
_PICTURE = (
    r"[[\p{Emoji_Presentation}--\p{Regional_Indicator}]"
    r"[\p{Emoji}&&[\u2300-\u23FF\u2700-\u27BF\u2B00-\u2BFF]]"
    r"[\p{So}&&[\u2600-\u26FF\U0001F000-\U0001FBFF]--[\u2605\u2606\p{Regional_Indicator}]]]"
)
_ADDED = rf"{_SELECTOR}?{_TONE}?(?:{_TAGS})?"
SEQUENCE = (
    rf"{_FLAG}|{_KEYCAP}|(?:{_PICTURE}|{_EMOJI}(?=\N{{VARIATION SELECTOR-16}})){_ADDED}"
    rf"(?:{_JOINER}{_EMOJI}{_ADDED})*"
)
"""Pattern of one emoji, as it is seen: with its tone, its selectors and what is joined to it."""

_START = regex.compile(rf"(?V1){SEQUENCE}")
_SELECTORS = regex.compile(r"\p{Variation_Selector}")
_DRESS = regex.compile(rf"(?V1)(?<=.)(?:{_TONE}|{_TAGS}|\N{{COMBINING ENCLOSING KEYCAP}})")


def is_emoji(word: str) -> bool:
    """Tell whether an item of `words.terms` is an emoji or a pictograph."""
    return not word.isascii() and _START.match(word) is not None


def emoji_terms(sequence: str) -> Iterator[str]:
    """Yield a sequence without selectors, then its parts without tones; each once."""
    whole = without_selectors(sequence)
    parts = (_DRESS.sub("", part) for part in whole.split("\N{ZERO WIDTH JOINER}"))
    yield from dict.fromkeys((whole, *parts))


def without_selectors(word: str) -> str:
    """Leave out what says how a character is drawn, and not which one it is."""
    return str(_SELECTORS.sub("", word))
