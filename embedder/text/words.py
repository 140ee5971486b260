"""Cut text into words by Unicode character classes; no data files, case kept."""

import re
from collections.abc import Iterable, Iterator
from itertools import pairwise

import regex  # type: ignore[import-untyped]

from embedder.text.emoji import SEQUENCE

# Han, kana and the scripts of South-East Asia are written without spaces between words. The
# prolonged sound marks belong to both kana scripts, so that Unicode gives them to neither.
UNSPACED = (
    r"\p{Han}\p{Hiragana}\p{Katakana}\N{KATAKANA-HIRAGANA PROLONGED SOUND MARK}"
    r"\N{HALFWIDTH KATAKANA-HIRAGANA PROLONGED SOUND MARK}"
    r"\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
)
"""Inside of a character class of the module `regex`, version 1."""
_RUN = rf"[[\p{{L}}\p{{N}}]&&[{UNSPACED}]][[\p{{L}}\p{{N}}\p{{M}}]&&[{UNSPACED}\p{{M}}]]*"
_START = rf"[[\p{{L}}\p{{N}}]--[{UNSPACED}]]"
_LETTER = rf"[\p{{L}}--[{UNSPACED}]]\p{{M}}*"
# Joiners and the soft hyphen are invisible and stand inside words (Persian, Indic, hyphenation).
_REST = rf"[[\p{{L}}\p{{N}}\p{{M}}\N{{SOFT HYPHEN}}\u200c\u200d]--[{UNSPACED}]]*"
_WORD = (
    rf"{_RUN}"
    rf"|{_LETTER}(?:\.{_LETTER})+(?![\p{{L}}\p{{N}}])"
    rf"|{_START}{_REST}(?:(?:['\u2019](?=\p{{L}})|(?<=\p{{Nd}})[.,](?=\p{{Nd}})){_START}{_REST})*"
)
_WORDS = regex.compile(rf"(?V1){_WORD}")
# The same where all is ASCII, in a quarter of the time.
_ASCII_WORDS = re.compile(
    "[A-Za-z](?:[.][A-Za-z])+(?![A-Za-z0-9])"
    "|[A-Za-z0-9]+(?:(?:'(?=[A-Za-z])|(?<=[0-9])[.,](?=[0-9]))[A-Za-z0-9]+)*"
)
_PICTURED = regex.compile(rf"(?V1){SEQUENCE}|{_WORD}")
_HANGUL = regex.compile(r"\p{Hangul}+")
_CLUSTER = regex.compile(r"\X")
_UNSPACED_START = regex.compile(rf"(?V1)[{UNSPACED}]")


def find_words(text: str) -> list[str]:
    """List the words of a text, in order, in the case that they were written in.

    A word is a longest run of letters, digits and the marks on them, after UAX 29, and

    - an apostrophe between letters joins (don't, l'eau), a full stop or comma between digits
      joins (3.14, 1,000), a full stop between single letters joins (U.S.A);
    - everything else separates, also the hyphen, the underscore and a full stop between longer
      words, where UAX 29 would join "end.Next";
    - scripts without spaces (Han, kana, Thai, Lao, Khmer, Myanmar) are kept as one run, apart
      from neighbours of other scripts: cutting them needs a dictionary or `is_unspaced` bigrams.
    """
    words: list[str] = (_ASCII_WORDS if text.isascii() else _WORDS).findall(text)
    return words


def words_and_emoji(text: str) -> list[str]:
    """List the words of a text and, between them, its emoji and pictographs (see `emoji`)."""
    if text.isascii():
        return find_words(text)
    words: list[str] = _PICTURED.findall(text)
    return words


def placed_words(text: str) -> Iterator[tuple[str, int]]:
    """Yield words with where they begin; scripts without spaces give single characters."""
    at, spaced = 0, text.isascii()
    for word in words_and_emoji(text):
        at = text.index(word, at)
        if spaced:
            yield word, at
            at += len(word)
            continue
        parts: Iterable[str] = word if is_unspaced(word) else (word,)
        for part in parts:
            yield part, at
            at += len(part)


def is_unspaced(word: str) -> bool:
    """Tell whether an item of `find_words` is a run of a script written without spaces."""
    return not word.isascii() and _UNSPACED_START.match(word) is not None


def has_hangul(word: str) -> bool:
    """Tell whether a word is written in Hangul, perhaps beside other letters or digits."""
    return not word.isascii() and _HANGUL.search(word) is not None


def hangul_terms(word: str) -> Iterator[str]:
    """Yield the terms of a word with Hangul in it.

    Particles stand at the end of a Korean word without a space, so beside the word come the pairs
    of neighbouring syllables (as in Lucene's CJKAnalyzer), and the first syllable, since many
    nouns and stems have only one. Letters and digits beside Hangul are words of their own.
    """
    at = 0
    for run in _HANGUL.finditer(word):
        yield from find_words(word[at : run.start()])
        syllables = _CLUSTER.findall(run[0])
        yield from dict.fromkeys((run[0], *map("".join, pairwise(syllables)), syllables[0]))
        at = run.end()
    yield from find_words(word[at:])
