"""Words of one language as terms: how text is cut, which words are left out, what is stemmed."""

import threading
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from itertools import chain, pairwise
from typing import TYPE_CHECKING, TypeVar

import regex  # type: ignore[import-untyped]
import snowballstemmer
from scipy.sparse import csr_matrix

from embedder.files.name_lists import suggest_names
from embedder.text.emoji import emoji_terms, is_emoji, without_selectors
from embedder.text.stop_words import STOP_WORDS
from embedder.text.stop_words import stop_words as read_stop_words
from embedder.text.term_counts import count_columns, hashed_column
from embedder.text.words import find_words, hangul_terms, has_hangul, is_unspaced, words_and_emoji

if TYPE_CHECKING:
    from embedder.text.piece_counts import PieceCounts

ANALYSIS = 3  # raise when a rule below or in words.py changes what a text's terms are
"""1: Korean words whole, and no emoji. 2: pairs of syllables beside them, and emoji.
3: stop words of other languages than English."""
WHITESPACE = "whitespace"
_REMEMBERED = 2**20  # pieces and words whose columns are kept; bounds memory
_LONGEST = 40  # characters of one that is worth keeping
_WORTH_COMPILING = 1 << 22  # characters that are counted in the time that numba takes to load
_CLUSTER = regex.compile(r"\X")
_LIST_OF = {"porter": "english", "dutch_porter": "dutch"}
Value = TypeVar("Value")
# The lists of Greek and Persian are written as Lucene's normalisation leaves words: without
# accents, and with the Arabic forms of two letters.
_AS_LISTED = str.maketrans("άέήίόύώϊΐϋΰ\u06cc\u06a9", "αεηιουωιιυυ\u064a\u0643")


class WordTerms:
    """The terms of texts in one language, see `BM25Encoder`.

    Args:
        language: as a Snowball algorithm is called, "none" or "whitespace".
        stop_words: name of a list, or the words themselves; None is the language's own list.
        analysis: the rules; None takes the newest that read texts of the language otherwise than
            those before, so that new indexes go with the older ones where nothing changed.

    Attributes:
        language: as given.
        analysis: number of the rules.
        list_name: of the stop words; "" without any, "own" where words are given.
        stops: the stop words, normalised.
    """

    def __init__(
        self,
        language: str,
        stop_words: str | Sequence[str] | None = None,
        analysis: int | None = None,
    ) -> None:
        self._stem = _stemmer(language)
        self.language = language
        self.analysis = newest_rules(language) if analysis is None else analysis
        if self.analysis not in range(1, ANALYSIS + 1):
            raise ValueError(
                f"the rules of analysis are 1 to {ANALYSIS}; got {analysis!r}: "
                "was the index made by a newer lastword?"
            )
        given = own_list(language, self.analysis) if stop_words is None else stop_words
        words = read_stop_words(given) if isinstance(given, str) else given
        self.list_name = given if isinstance(given, str) else "own" if given else ""
        self.stops = frozenset(map(self._listed, map(self._normalised, words)))
        self._pieces = _Computed(self.columns_of)
        self._of_word = _Computed(self._column)  # pieces are many, with its punctuation
        self._lock = threading.Lock()  # a Snowball stemmer keeps the word it works on
        self._counting = threading.Lock()
        self._counted = 0  # characters
        self._compiled: PieceCounts | None = None

    def columns(self, texts: Iterable[str]) -> list[list[int]]:
        """Return the columns that the terms of each text stand in; stop words have none."""
        of_piece = self._pieces.__getitem__  # nothing joins over white space
        return [[*chain.from_iterable(map(of_piece, text.split()))] for text in texts]

    def count(self, texts: Sequence[str]) -> csr_matrix:
        """Count the terms of each text: (len(texts), VOCABULARY) float32."""
        self._counted += sum(map(len, texts))
        if self._counted < _WORTH_COMPILING:
            return count_columns(self.columns(texts))
        from embedder.text.piece_counts import PieceCounts

        with self._counting:
            self._compiled = self._compiled or PieceCounts(self.columns_of)
            return self._compiled.rows([text.encode("utf-8", "surrogatepass") for text in texts])

    def columns_of(self, piece: str) -> tuple[int, ...]:
        """Return the columns of what stands between white space."""
        columns = map(self._of_word.__getitem__, self.words(piece))
        return tuple(column for column in columns if column is not None)

    def stems(self, text: str) -> Iterator[tuple[int, str, str]]:
        """Yield column, word and stem of the terms of a text; stop words are left out."""
        for word in self.words(text):
            column = self._column(word)
            if column is not None:
                with self._lock:
                    yield column, word, self._stem(word)

    def words(self, text: str) -> Iterator[str]:
        """Yield the words of a text before they are stemmed, stop words among them, in order."""
        if self.language == WHITESPACE:
            yield from text.split()
            return
        text = self._normalised(text)
        if text.isascii():
            yield from find_words(text)
            return
        for word in find_words(text) if self.analysis == 1 else words_and_emoji(text):
            if word.isascii():
                yield word
            elif self.analysis == 1:
                yield from _pairs(word) if is_unspaced(word) else (word,)
            elif is_emoji(word):
                yield from emoji_terms(word)
            elif has_hangul(word):
                yield from hangul_terms(without_selectors(word))
            else:
                bare = without_selectors(word)
                yield from _pairs(bare) if is_unspaced(bare) else (bare,)

    def _normalised(self, text: str) -> str:
        if self.language == "turkish":  # I is the capital of dotless i
            text = text.replace("I", "\N{LATIN SMALL LETTER DOTLESS I}")
            text = text.replace("\N{LATIN CAPITAL LETTER I WITH DOT ABOVE}", "i")
        if text.isascii():
            return text.lower()
        folded = unicodedata.normalize("NFKC", text).casefold()
        return folded.replace("\N{SOFT HYPHEN}", "").replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")

    def _listed(self, word: str) -> str:
        """Write a word as the lists of stop words have it."""
        return word if word.isascii() else word.translate(_AS_LISTED)

    def _column(self, word: str) -> int | None:
        """Return the column of a normalised word, None for a stop word."""
        if self._listed(word) in self.stops:
            return None
        with self._lock:
            return hashed_column(self._stem(word))


class _Computed(dict[str, Value]):
    """Piece or word -> what is computed of it, but once; long ones are not worth keeping."""

    def __init__(self, compute: Callable[[str], Value]) -> None:
        super().__init__()
        self._compute = compute

    def __missing__(self, key: str) -> Value:
        value = self._compute(key)
        if len(key) <= _LONGEST:
            if len(self) >= _REMEMBERED:
                self.clear()
            self[key] = value
        return value


def own_list(language: str, analysis: int) -> str:
    """Name the stop-word list of a language, "" where there is none or the rules know none."""
    name = _LIST_OF.get(language, language)
    known = analysis >= 3 or name == "english"
    return name if known and (STOP_WORDS / f"{name}.txt").is_file() else ""


def newest_rules(language: str) -> int:
    """Return the newest rules that read texts of a language otherwise than those before."""
    return 3 if own_list(language, 3) != own_list(language, 2) else 2


def snowball_version() -> str:
    """Name the release of Snowball in use: stems change between minor releases."""
    try:
        release = version("PyStemmer")  # snowballstemmer hands over to it where it is installed
    except PackageNotFoundError:
        release = version("snowballstemmer")
    return "snowball " + ".".join(release.split(".")[:2])


def _pairs(run: str) -> Iterator[str]:
    """Yield the characters of a run without spaces, and the pairs of neighbours."""
    characters = _CLUSTER.findall(run)
    yield from characters
    yield from map("".join, pairwise(characters))


def _stemmer(language: str) -> Callable[[str], str]:
    if language in ("none", WHITESPACE):
        return str
    known = snowballstemmer.algorithms()
    if language not in known:
        hint = suggest_names(language, known, f"there is {', '.join(known)}")
        raise ValueError(f'no stemmer is called {language!r} ("none" does not stem); {hint}')
    stem: Callable[[str], str] = snowballstemmer.stemmer(language).stemWord
    return stem
