"""BM25 text analysis: a text becomes the counts of its stemmed words; weighing is the index's."""

import hashlib
import threading
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from itertools import chain, pairwise

import numpy as np
import regex  # type: ignore[import-untyped]
import snowballstemmer
from scipy.sparse import csr_matrix

from embedder.encoders.specs import BM25Spec
from embedder.files.name_lists import suggest_names
from embedder.text.emoji import emoji_terms, is_emoji, without_selectors
from embedder.text.stop_words import STOP_WORDS
from embedder.text.stop_words import stop_words as read_stop_words
from embedder.text.term_counts import count_columns, hashed_column
from embedder.text.words import find_words, hangul_terms, has_hangul, is_unspaced, words_and_emoji
from embedder.text_encoder import TextEncoder
from embedder.types import Representation, Role, fingerprint_of, list_texts

ANALYSIS = 2  # raise when a rule below or in words.py changes what a text's terms are
"""1: Korean words whole, and no emoji. 2: pairs of syllables beside them, and emoji."""
WHITESPACE = "whitespace"
_REMEMBERED = 2**20  # pieces whose columns are kept; bounds memory on a large collection
_LONGEST = 40  # characters of a piece that is worth keeping
_CLUSTER = regex.compile(r"\X")


class BM25Encoder(TextEncoder):
    """Encode a text as the counts of its terms, in a vocabulary that needs no state.

    Text is NFKC-normalised, case-folded and cut by `find_words`; stop words of the language are
    left out and the rest is stemmed by Snowball. Runs of a script without spaces become single
    characters and pairs of neighbours; beside a word in Hangul stand its pairs of syllables, and
    beside an emoji its parts. The column of a term is a 62-bit hash of it, so shards
    that were encoded apart agree. Queries and documents are treated alike.

    Args:
        language: a Snowball algorithm ("english", "german", "porter", ...), or "none" for text
            that is not to be stemmed. "whitespace" takes what white space separates as it is: for
            the terms of other programs.
        stop_words: a list in embedder/text/stop_words, "" for none; by default the language's own
            where there is one.
        analysis: 1 for an index that was made by the first rules, which knew neither pairs in
            Hangul nor emoji; text without these has the same terms by both.
    """

    def __init__(
        self, language: str = "english", stop_words: str | None = None, analysis: int = ANALYSIS
    ) -> None:
        if analysis not in range(1, ANALYSIS + 1):
            raise ValueError(
                f"the rules of analysis are 1 to {ANALYSIS}; got {analysis!r}: "
                "was the index made by a newer lastword?"
            )
        self._analysis = analysis
        self._stem = _stemmer(language)
        self._language = language
        self._stop_words = _own_list(language) if stop_words is None else stop_words
        self._stops = frozenset(map(self._normalised, read_stop_words(self._stop_words)))
        self._pieces = _PieceColumns(self._columns_of)
        self._lock = threading.Lock()  # a Snowball stemmer keeps the word it works on
        self._counts = Counter(texts=0, without_words=0)

    @property
    def spec(self) -> BM25Spec | None:
        """What an index keeps of the encoder; a list of stop words of one's own has no place."""
        own = self._stop_words == _own_list(self._language)
        return BM25Spec(self._language, self._analysis) if own else None

    @property
    def fingerprint(self) -> str:
        """Language, stop words and the versions of the rules."""
        listed = "\n".join(sorted(self._stops)).encode()
        return fingerprint_of(
            kind="bm25",
            language=self._language,
            stemmer=_snowball_version(),
            stop_words=self._stop_words,
            stop_words_hash=hashlib.blake2b(listed, digest_size=8).hexdigest(),
            analysis=self._analysis,
        )

    def encode(self, texts: Sequence[str], role: Role) -> Representation:
        """Count terms: sparse (len(texts), 2**62) float32 counts; a text may have none."""
        role, texts = Role(role), list_texts(texts)
        rows = count_columns(self.columns(texts))
        self.note_encoded(rows)
        return Representation(None, rows, np.arange(len(texts)))

    def note_encoded(self, rows: csr_matrix) -> None:
        """Count texts as encoded; also those that another process has encoded for this one."""
        without = int((np.diff(rows.indptr) == 0).sum())
        self._counts.update(texts=rows.shape[0], without_words=without)

    def columns(self, texts: Iterable[str]) -> list[list[int]]:
        """Return the columns that the terms of each text stand in; stop words have none."""
        of_piece = self._pieces.__getitem__  # nothing joins over white space
        return [[*chain.from_iterable(map(of_piece, text.split()))] for text in texts]

    def term_names(self, terms: Sequence[int], texts: Sequence[str]) -> dict[int, str]:
        """Name columns by the first word of `texts` that stands in them; "<id>" if none does."""
        names = {term: f"<{term}>" for term in terms}
        unnamed = set(terms)
        for text in texts:
            for word in self.terms(text):
                column = self._column(word)
                if column in unnamed:
                    names[column] = word
                    unnamed.discard(column)
        return names

    def learn_stems(self, texts: Iterable[str], stems: dict[int, str]) -> None:
        """Add column -> term as it is counted, for the terms of texts."""
        for text in texts:
            for word in self.terms(text):
                column = self._column(word)
                if column is not None and column not in stems:
                    with self._lock:
                        stems[column] = self._stem(word)

    def overlooks(self, texts: Iterable[str]) -> bool:
        """Tell whether today's rules see terms in texts that those of this encoder do not."""
        if self._analysis == ANALYSIS:
            return False
        today = BM25Encoder(self._language, self._stop_words)
        return any(not set(self.terms(text)).issuperset(today.terms(text)) for text in texts)

    def terms(self, text: str) -> Iterator[str]:
        """Yield the words of a text before they are stemmed, stop words among them, in order."""
        if self._language == WHITESPACE:
            yield from text.split()
            return
        text = self._normalised(text)
        for word in find_words(text) if self._analysis == 1 else words_and_emoji(text):
            if word.isascii():
                yield word
            elif self._analysis == 1:
                yield from _pairs(word) if is_unspaced(word) else (word,)
            elif is_emoji(word):
                yield from emoji_terms(word)
            elif has_hangul(word):
                yield from hangul_terms(without_selectors(word))
            else:
                bare = without_selectors(word)
                yield from _pairs(bare) if is_unspaced(bare) else (bare,)

    def _normalised(self, text: str) -> str:
        if self._language == "turkish":  # I is the capital of dotless i
            text = text.replace("I", "\N{LATIN SMALL LETTER DOTLESS I}")
            text = text.replace("\N{LATIN CAPITAL LETTER I WITH DOT ABOVE}", "i")
        if text.isascii():
            return text.lower()
        folded = unicodedata.normalize("NFKC", text).casefold()
        return folded.replace("\N{SOFT HYPHEN}", "").replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")

    def _columns_of(self, piece: str) -> tuple[int, ...]:
        columns = map(self._column, self.terms(piece))
        return tuple(column for column in columns if column is not None)

    def _column(self, word: str) -> int | None:
        """Return the column of a normalised word, None for a stop word."""
        if word in self._stops:
            return None
        with self._lock:
            return hashed_column(self._stem(word))


class _PieceColumns(dict[str, tuple[int, ...]]):
    """What stands between white space -> columns of its terms; punctuation is cut off but once."""

    def __init__(self, compute: Callable[[str], tuple[int, ...]]) -> None:
        super().__init__()
        self._compute = compute

    def __missing__(self, piece: str) -> tuple[int, ...]:
        columns = self._compute(piece)
        if len(piece) <= _LONGEST:
            if len(self) >= _REMEMBERED:
                self.clear()
            self[piece] = columns
        return columns


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


def _own_list(language: str) -> str:
    """Name the stop-word list of a language, "" where there is none."""
    name = "english" if language == "porter" else language
    return name if (STOP_WORDS / f"{name}.txt").is_file() else ""


def _snowball_version() -> str:
    """Name the release of Snowball in use: stems change between minor releases."""
    try:
        release = version("PyStemmer")  # snowballstemmer hands over to it where it is installed
    except PackageNotFoundError:
        release = version("snowballstemmer")
    return "snowball " + ".".join(release.split(".")[:2])
