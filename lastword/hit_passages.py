"""The passage by which a document was found: where it stands, on which page, and what matches."""

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise

from embedder.encoders.bm25 import BM25Encoder
from embedder.inspect.word_columns import WordColumns
from embedder.text.words import placed_words
from embedder.types import Encoder
from index.documents import Document
from retrieval.rerank.winners import winning_spans
from retrieval.retriever import Retriever
from retrieval.run import SearchResult

SEEN = 80  # characters of a text that a terminal has room for, about
_LEADING = 4  # words shown before the first match
PAGES = "pages"
"""The key of a document's metadata under which the offsets lie at which its pages begin."""


class WordMatcher:
    """Finds the words of a query in texts, as BM25 compares words.

    Args:
        query: text.
        encoders: of the index, whose BM25 is asked; where it has none, that of English.
        columns: of words by that BM25, where several queries share what is remembered.
    """

    def __init__(
        self, query: str, encoders: Mapping[str, Encoder], columns: WordColumns | None = None
    ) -> None:
        self._columns = columns or word_columns(encoders)
        self._query = query
        self._seen: dict[str, bool] = {}  # word -> whether it matches

    def find(self, text: str) -> list[tuple[int, int]]:
        """Return (start, end) of each place in a text with words of the query, in order."""
        placed = list(placed_words(text))
        new = list({word for word, _ in placed}.difference(self._seen))
        for word, columns in zip(new, self._columns.of(new), strict=True):
            self._seen[word] = not columns.isdisjoint(self._asked)
        found: list[tuple[int, int]] = []
        for word, at in placed:
            if not self._seen[word]:
                continue
            if found and found[-1][1] == at:  # characters of a script without spaces
                found[-1] = (found[-1][0], at + len(word))
            else:
                found.append((at, at + len(word)))
        return found

    @cached_property
    def _asked(self) -> frozenset[int]:
        (columns,) = self._columns.of([self._query])
        return columns


def word_columns(encoders: Mapping[str, Encoder]) -> WordColumns:
    """Return the columns of words by the BM25 of an index; by that of English where it has none."""
    own = (each for each in encoders.values() if isinstance(each, BM25Encoder))
    return WordColumns(next(own, None) or BM25Encoder())


@dataclass(frozen=True, slots=True)
class HitPassage:
    """The part of a document by which it was found; all of its text where it was not cut.

    Attributes:
        start: its first character in `Document.text`.
        end: one past its last.
        page: on which it begins, from 1; None where the document has no "pages" in its metadata.
        text: what stands there.
        whole: whether it is all of the text.

    >>> passage = index.search("tea")[0].passage
    >>> passage.text[:9], passage.start, passage.end, passage.page, passage.matches
    ('green tea', 0, 38, None, [(6, 9)])
    """

    start: int
    end: int
    page: int | None
    text: str
    whole: bool = True
    _matcher: WordMatcher | None = field(default=None, repr=False, compare=False)

    @property
    def matches(self) -> list[tuple[int, int]]:
        """Where words of the query stand in it, as (start, end) in the text of the document.

        >>> index.search("key")[0].passage.matches
        [(11, 14)]
        """
        return [
            (self.start + first, self.start + end) for first, end in self.find_matches(self.text)
        ]

    def find_matches(self, text: str) -> list[tuple[int, int]]:
        """Return where words of the query stand in any text.

        >>> index.search("key")[0].passage.find_matches("a box of keys")
        [(9, 13)]
        """
        return self._matcher.find(text) if self._matcher else []


class PassageFinder:
    """Finds the passages of what queries found.

    Args:
        retriever: that answered.
        result: its answer.
        queries: the texts, by id.
    """

    def __init__(
        self, retriever: Retriever, result: SearchResult, queries: Mapping[str, str]
    ) -> None:
        columns, encoders = word_columns(retriever.encoders), retriever.encoders
        self._matchers = {
            query_id: WordMatcher(query, encoders, columns) for query_id, query in queries.items()
        }
        self._spans = winning_spans(retriever, result, result.run)

    def find(self, query_id: str, document: Document) -> HitPassage:
        """Return the passage by which a query found a document."""
        length = len(document.text)
        start, end = self._spans[query_id].get(document.id, (0, length))
        text, whole = document.text[start:end], end - start == length
        page, matcher = find_page(document, start), self._matchers[query_id]
        return HitPassage(start, end, page, text, whole, matcher)


def show_passage(document: Document, passage: HitPassage) -> str:
    """Return title and text; of a text that was cut its page, and its passage about the matches.

    Where most matches stand together within SEEN characters, there it begins; "…" is what goes
    before.
    """
    if passage.whole:
        return document.content
    first = 0
    starts = [start - passage.start for start, _ in passage.matches]
    counts = [bisect_right(starts, start + SEEN) - at for at, start in enumerate(starts)]
    if bisect_right(starts, SEEN) < max(counts, default=0):
        best = starts[counts.index(max(counts))]
        first = best - len(" ".join(passage.text[:best].split(" ")[-_LEADING:]))
    page = "" if passage.page is None else f"p. {passage.page}: "
    return page + "… " * (passage.start + first > 0) + passage.text[first:]


def find_page(document: Document, place: int) -> int | None:
    """Return the page of a character, from 1; None where the metadata has no rising offsets."""
    pages = document.metadata.get(PAGES)
    if not isinstance(pages, list) or not pages or not all(type(at) is int for at in pages):
        return None
    if any(after < before for before, after in pairwise(pages)):
        return None
    return max(1, bisect_right(pages, place))
