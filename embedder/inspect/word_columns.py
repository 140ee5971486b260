"""Which columns of sparse rows the words of a text stand in: people see words, not pieces."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import regex  # type: ignore[import-untyped]

from embedder.encoders.bm25 import BM25Encoder
from embedder.inputs.vocabulary import TermVocabulary
from embedder.text.words import is_unspaced, words_and_emoji
from embedder.types import Encoder, NamesTerms, inner_encoder

NamedWeights = list[tuple[str, float]]
"""Words with weights, heaviest first."""

Join = Callable[[Iterable[float]], float]
CharacterSpan = tuple[
    int, int, int
]  # column, and the first and one past the last character of its piece
_CLUSTER = regex.compile(r"\X")


class WordColumns:
    """The columns of words, each read alone; remembered word by word.

    Args:
        encoder: with sparse rows; one that wraps another as `inner` is read through it.

    Raises:
        ValueError: the encoder does not tell which words its columns stand for.
    """

    def __init__(self, encoder: Encoder) -> None:
        self._inner: Any = inner_encoder(encoder)
        if not hasattr(self._inner, "columns"):
            name = type(self._inner).__name__
            raise ValueError(f"{name} does not tell which words its columns stand for")
        self._known: dict[str, frozenset[int]] = {}

    def of(self, words: Sequence[str]) -> list[frozenset[int]]:
        """Return the columns of each word."""
        new = [word for word in dict.fromkeys(words) if word not in self._known]
        for word, columns in zip(new, self._inner.columns(new) if new else [], strict=True):
            self._known[word] = frozenset(map(int, columns))
        return [self._known[word] for word in words]

    def owners(self, text: str, columns: Iterable[int]) -> dict[int, str]:
        """Return the word of a text that each column stands for, of those that stand in it.

        A column goes to the word with fewest pieces, the first of equals: "day" is a word before
        it is a piece of "holidays". Where there are no spaces, pieces that overlap are one word.
        """
        named = frozenset(columns)
        words = dict.fromkeys(words_and_emoji(text))
        spaced = [word for word in words if not is_unspaced(word)]
        parted = sorted(zip(self.of(spaced), spaced, strict=True), key=lambda pair: len(pair[0]))
        runs = (run for word in words if is_unspaced(word) for run in self._stretches(word, named))
        longest = sorted(((own, word) for word, own in runs), key=lambda pair: -len(pair[1]))
        owners: dict[int, str] = {}
        for own, word in (*parted, *longest):
            for column in own & named:
                owners.setdefault(column, word)
        return owners

    def _stretches(self, run: str, named: frozenset[int]) -> Iterator[tuple[str, frozenset[int]]]:
        """Join the pieces of a run that overlap, of those whose columns are `named`."""
        spans = sorted((start, end, column) for column, start, end in self._spans(run))
        joined: set[int] = set()
        first = last = 0
        for start, end, column in spans:
            if column not in named:
                continue
            if joined and start >= last:
                yield run[first:last], frozenset(joined)
                joined = set()
            first, last = (start, end) if not joined else (first, max(last, end))
            joined.add(column)
        if joined:
            yield run[first:last], frozenset(joined)

    def _spans(self, run: str) -> Iterator[CharacterSpan]:
        """Yield the pieces of a run without spaces, with where they stand."""
        if isinstance(self._inner, BM25Encoder):
            ends = [0, *(match.end() for match in _CLUSTER.finditer(run))]
            single = self.of([run[start:end] for start, end in pairwise(ends)])
            for at, columns in enumerate(single):
                yield from ((column, ends[at], ends[at + 1]) for column in columns)
            for at, (first, second) in enumerate(pairwise(single)):
                start, end = ends[at], ends[at + 2]
                (pair,) = self.of([run[start:end]])
                yield from ((column, start, end) for column in pair - first - second)
        elif isinstance(getattr(self._inner, "table", None), TermVocabulary):
            yield from self._inner.table.spans(run)


def whole_words(
    encoder: Encoder, weights: Mapping[int, float], texts: Sequence[str], join: Join = max
) -> NamedWeights:
    """Write sparse columns as words of the texts that they stand for.

    Args:
        encoder: of the columns.
        weights: column -> weight.
        texts: the first that has a word for a column gives it; a column that none has is called
            as the encoder calls it.
        join: weights of a word's pieces -> the word's; the largest by default.
    """
    owners: dict[int, str] = {}
    try:
        columns = WordColumns(encoder)
        for text in texts:
            owners |= columns.owners(text, weights.keys() - owners.keys())
    except ValueError:  # an encoder of somebody's own
        owners = {}
    owners |= piece_names(encoder, sorted(weights.keys() - owners.keys()), texts)
    by_word: dict[str, list[float]] = {}
    for column, weight in weights.items():
        by_word.setdefault(owners[column], []).append(weight)
    return heaviest({word: join(parts) for word, parts in by_word.items()}.items())


def piece_words(
    encoder: Encoder, weights: Mapping[int, float], texts: Sequence[str]
) -> NamedWeights:
    """Write sparse columns as the tokens or terms that they are, with the marks on them."""
    table = getattr(inner_encoder(encoder), "table", None)
    if isinstance(table, TermVocabulary):
        return heaviest((table.name(column), weight) for column, weight in weights.items())
    names = piece_names(encoder, list(weights), texts)
    return heaviest((names[column], weight) for column, weight in weights.items())


def piece_names(encoder: Encoder, columns: Sequence[int], texts: Sequence[str]) -> dict[int, str]:
    """Name columns as the encoder does, "<id>" where it does not."""
    if isinstance(encoder, NamesTerms) and columns:
        return dict(encoder.term_names(columns, texts))
    return {column: f"<{column}>" for column in columns}


def heaviest(words: Iterable[tuple[str, float]]) -> NamedWeights:
    """Put the heaviest words first; equals go by the alphabet."""
    return sorted(words, key=lambda pair: (-pair[1], pair[0]))
