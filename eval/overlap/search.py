"""Find runs of words of evaluation texts in training texts: hashed n-grams, each hit verified."""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import repeat
from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

_WORD = re.compile(r"[^\W_]+")  # \w is letters, digits and the underscore
GAP = 0  # stands between texts, and for training words that no evaluation text has
_BASE = np.uint64(0x9E3779B97F4A7C15)  # odd, so that multiplying by it loses no bit
LONGEST = 1000  # words of an n-gram
_SPARE_BITS = 3  # the first look has 8 to 16 places for each hash: few n-grams pass it by chance
_SEED = 5


class NgramTable(NamedTuple):
    """N-grams of one length, by hash.

    Attributes:
        length: words in each.
        hashes: (m,) uint64, ascending.
        places: (m,) int64: where each begins in the words; ascending where hashes are equal.
        likely: (2^b,) bool: whether any hash begins with these b bits.
        shift: 64 - b.
    """

    length: int
    hashes: NDArray[np.uint64]
    places: NDArray[np.int64]
    likely: NDArray[np.bool_]
    shift: np.uint64


class NgramHits(NamedTuple):
    """Training n-grams whose hash is in a table.

    Attributes:
        places: (h,) int64, ascending: where each begins in the block of training words.
        firsts: (h,) int64: the first entry of the table with its hash.
        offset: places of the blocks before, so that place + offset is no other's.
    """

    places: NDArray[np.int64]
    firsts: NDArray[np.int64]
    offset: int


class NgramTally(NamedTuple):
    """The matches so far; by place in the evaluation words, or by evaluation text.

    Attributes:
        owners: (words,) int32: text of each place.
        matched: (words,) bool: the n-gram that begins here is in training.
        lasts: (words,) int64: its last place in training.
        lengths: (words,) int32: words of the shared run that ended with it there.
        runs: (texts,) int32: longest run shared with one training text.
        ends: (texts,) int64: place after the end of that run.
        news: (texts,) int64: its place in this block, -1 where it is of another block.
    """

    owners: NDArray[np.int32]
    matched: NDArray[np.bool_]
    lasts: NDArray[np.int64]
    lengths: NDArray[np.int32]
    runs: NDArray[np.int32]
    ends: NDArray[np.int64]
    news: NDArray[np.int64]


class OverlapSearch:
    """Evaluation texts, and their matches in the training texts so far.

    Hashes are polynomials over random 64-bit word codes. They only say where to look: words are
    compared at every hit, so that nothing is found by chance. About 70 bytes are held for each
    evaluation word; of the training texts nothing.

    Args:
        texts: evaluation texts, kept as word numbers.
        n: words of an n-gram, at least 1. A text of fewer words is sought as a whole.
    """

    def __init__(self, texts: Iterable[str], n: int) -> None:
        if not 1 <= n <= LONGEST:  # each word of an n-gram is a step of its hash
            raise ValueError(f"an n-gram has 1 to {LONGEST:,} words; got n = {n}")
        self.n = n
        self.training_words = 0
        self.training_ngrams = 0
        self.rejected = 0
        """Pairs of n-grams with equal hashes whose words differ."""
        self._offset = 0
        self._vocabulary: dict[str, int] = {}
        self._words, self.starts = _numbered(texts, self._vocabulary)
        self._names = ["", *self._vocabulary]
        self.lengths = np.diff(self.starts) - 1
        self._codes = _random_codes(len(self._names))
        self._tables = {table.length: table for table in self._make_tables()}
        size, count = len(self._words), len(self.lengths)
        self._tally = NgramTally(
            owners=np.repeat(np.arange(-1, count, dtype=np.int32), np.diff(self.starts, prepend=0)),
            matched=np.zeros(size, np.bool_),
            lasts=np.full(size, -2, np.int64),
            lengths=np.zeros(size, np.int32),
            runs=np.zeros(count, np.int32),
            ends=np.zeros(count, np.int64),
            news=np.full(count, -1, np.int64),
        )

    @property
    def ngrams(self) -> NDArray[np.int64]:
        """N-grams of each text; 0 where it is shorter than n."""
        counts: NDArray[np.int64] = np.maximum(self.lengths - self.n + 1, 0)
        return counts

    @property
    def match_counts(self) -> NDArray[np.int64]:
        """Matched n-grams of each text; of a text shorter than n, 1 for the whole."""
        hits = np.flatnonzero(self._tally.matched)
        counts = np.zeros(len(self.lengths), np.int64)
        np.add.at(counts, self._tally.owners[hits], 1)
        return counts

    @property
    def runs(self) -> NDArray[np.int32]:
        """Words of the longest run that each text shares with one training text, 0 below n."""
        return self._tally.runs

    def run(self, text: int) -> str:
        """Return that run, in lower case with single spaces."""
        end = int(self._tally.ends[text])
        words = self._words[end - int(self._tally.runs[text]) : end]
        return " ".join(self._names[word] for word in words)

    def read(self, texts: Sequence[str]) -> list[tuple[int, int]]:
        """Look through training texts.

        Returns:
            (evaluation text, training text) where a longer run was found than before; the first
            training text with a run of that length is the one that is named.
        """
        words, starts = _translated(texts, self._vocabulary)
        lengths = np.diff(starts) - 1
        news = self._tally.news
        news[:] = -1
        for length, places, hashes in _windows(words, self._codes, self._tables):
            table = self._tables[length]
            places = places[near := table.likely[hashes >> table.shift]]
            hashes = hashes[near]
            firsts = np.searchsorted(table.hashes, hashes)
            firsts[firsts == len(table.hashes)] = 0  # above all: differs from the first, too
            same = table.hashes[firsts] == hashes
            hits = NgramHits(places[same], firsts[same], self._offset)
            self.rejected += _note(words, hits, table, self._words, self._tally)
        self._offset += len(words)
        self.training_words += int(lengths.sum())
        self.training_ngrams += int(np.maximum(lengths - self.n + 1, 0).sum())
        touched = np.flatnonzero(news >= 0)
        sources = np.searchsorted(starts, news[touched], side="right") - 1
        return list(zip(touched.tolist(), sources.tolist(), strict=True))

    def _make_tables(self) -> Iterator[NgramTable]:
        """Yield a table of all n-grams, and of the shorter texts of each length."""
        at = self.starts[:-1]
        lengths = {*np.unique(self.lengths[self.lengths < self.n]).tolist(), self.n}
        for length, places, hashes in _windows(self._words, self._codes, lengths - {0}):
            if length < self.n:
                whole = np.isin(places, at[self.lengths == length])
                places, hashes = places[whole], hashes[whole]
            if len(places):
                yield _table(length, places, hashes)


def words_of(text: str) -> list[str]:
    """List the lower-cased runs of letters and digits."""
    return _WORD.findall(text.lower())


def _random_codes(count: int) -> NDArray[np.uint64]:
    return np.random.default_rng(_SEED).integers(2**64, size=count, dtype=np.uint64)


def _numbered(
    texts: Iterable[str], vocabulary: dict[str, int]
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Number words from 1 in order of appearance; a GAP stands before and after every text.

    Returns:
        words, and (texts + 1,) where each text begins, the last being len(words).
    """
    parts: list[NDArray[np.int32]] = [np.array([GAP], np.int32)]
    for text in texts:
        numbers = [vocabulary.setdefault(word, len(vocabulary) + 1) for word in words_of(text)]
        parts.append(np.array([*numbers, GAP], np.int32))
    return np.concatenate(parts), np.cumsum([len(part) for part in parts], dtype=np.int64)


def _translated(
    texts: Sequence[str], vocabulary: dict[str, int]
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Write words as their numbers, GAP where they have none; a GAP ends every text."""
    numbers: list[int] = []
    starts = [0]
    for text in texts:
        numbers.extend(map(vocabulary.get, words_of(text), repeat(GAP)))
        numbers.append(GAP)
        starts.append(len(numbers))
    return np.array(numbers, np.int32), np.array(starts, np.int64)


def _windows(
    words: NDArray[np.int32], codes: NDArray[np.uint64], lengths: Iterable[int]
) -> Iterator[tuple[int, NDArray[np.int64], NDArray[np.uint64]]]:
    """Yield each length with the places of the windows without a GAP, ascending, and their hashes.

    The hash of words w1 ... wk is code(w1) B^(k-1) + ... + code(wk) modulo 2^64 (Karp and Rabin,
    IBM Journal of Research and Development 1987), made from that of k - 1 words.
    """
    requested = frozenset(lengths)
    values, known = codes[words], words != GAP
    hashes, clear = values, known
    for length in range(1, max(requested, default=0) + 1):
        if length > 1:
            hashes = hashes[:-1] * _BASE + values[length - 1 :]
            clear = clear[:-1] & known[length - 1 :]
        if length in requested:
            places = np.flatnonzero(clear)
            yield length, places, hashes[places]


def _table(length: int, places: NDArray[np.int64], hashes: NDArray[np.uint64]) -> NgramTable:
    order = np.argsort(hashes, kind="stable")
    hashes = hashes[order]
    shift = np.uint64(64 - len(hashes).bit_length() - _SPARE_BITS)
    likely = np.zeros(1 << (64 - int(shift)), np.bool_)
    likely[hashes >> shift] = True
    return NgramTable(length, hashes, places[order], likely, shift)


@numba.njit(nogil=True)  # type: ignore[untyped-decorator]
def _note(
    words: NDArray[np.int32],
    hits: NgramHits,
    table: NgramTable,
    evaluation: NDArray[np.int32],
    tally: NgramTally,
) -> int:
    """Compare words at every hit, lengthen shared runs, and return how many pairs differed.

    A run goes on where the n-gram before was found at the training place before. Of equal n-grams
    the last is looked at first: the note at the place before it is then still of the training
    place before, also in "the the the".
    """
    rejected = 0
    for hit in range(len(hits.places)):
        place, first = hits.places[hit], hits.firsts[hit]
        end = first + 1
        while end < len(table.hashes) and table.hashes[end] == table.hashes[first]:
            end += 1
        for entry in range(end - 1, first - 1, -1):
            at = table.places[entry]
            if not np.array_equal(
                words[place : place + table.length], evaluation[at : at + table.length]
            ):
                rejected += 1
                continue
            now = hits.offset + place
            goes_on = tally.lasts[at - 1] == now - 1
            run = tally.lengths[at - 1] + 1 if goes_on else table.length
            tally.matched[at], tally.lasts[at], tally.lengths[at] = True, now, run
            text = tally.owners[at]
            if run > tally.runs[text]:
                tally.runs[text], tally.ends[text] = run, at + table.length
                tally.news[text] = place
    return rejected
