"""Why a document was found: its score in each channel, and the words that carried it."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from embedder.text.layout import align_columns, cut_line
from embedder.text.printable import printable
from embedder.types import Representation
from index.documents import Document
from retrieval.passages.cutting import Span, heaviest_span, passage_text
from retrieval.run import SearchResult

_TEXT = 160  # characters
_WORDS = 8  # of each channel


@dataclass(frozen=True, slots=True)
class ChannelPart:
    """The score of a document for a query in one channel.

    Attributes:
        name: of the channel.
        score: exact, also where the channel's search is approximate; 0 where nothing matches.
        rank: from 1; None where the channel did not return the document.
        share: the channel's part of the fused score.
        words: word of the query or the document -> its part of `score`, the sum over its pieces,
            heaviest first; or piece -> its part. Empty for dense rows.
        passage: start and end of the best passage in `Document.text`; None where the document
            has no row in the channel.
        query: words of the query with their weights after feedback, heaviest first; empty
            without feedback, and for dense rows.
        added: those of `query` that feedback brought.
        unit: what the score and its parts are of, where that is not plain; else "".
        fields: field of the document -> its part of `score`, where fields are weighted.
    """

    name: str
    score: float
    rank: int | None
    share: float
    words: tuple[tuple[str, float], ...]
    passage: tuple[int, int] | None
    query: tuple[tuple[str, float], ...] = ()
    added: tuple[str, ...] = ()
    unit: str = ""
    fields: tuple[tuple[str, float], ...] = ()

    @property
    def learnt(self) -> tuple[tuple[tuple[str, float], ...], tuple[tuple[str, float], ...]]:
        """The words of `query` that were asked, and those that feedback added."""
        asked = tuple(pair for pair in self.query if pair[0] not in self.added)
        return asked, tuple(pair for pair in self.query if pair[0] in self.added)

    def _cells(self) -> tuple[str, ...]:
        return (
            self.name,
            f"{self.score:.4f}",
            "-" if self.rank is None else str(self.rank),
            f"{self.share:.4f}",
            _shown(self.words, ".2f") or "-",
        )


def _shown(words: Sequence[tuple[str, float]], number: str) -> str:
    """Write the first words with their weights in a format."""
    listed = [f"{word} {weight:{number}}" for word, weight in words[:_WORDS]]
    return ", ".join(listed + ["…"] * (len(words) > _WORDS))


@dataclass(frozen=True, slots=True)
class RerankedPart:
    """What a reranker did to one document.

    Attributes:
        name: of the reranker.
        depth: documents that it read for the query, at most.
        score: it gave; None where it did not read the document, which ranks below the depth.
        before: rank before, from 1; None where the search did not return the document.
        after: rank after it.
    """

    name: str
    depth: int
    score: float | None
    before: int | None
    after: int | None

    def __str__(self) -> str:
        if self.before is None:
            return f"{self.name}: not among the documents that were found"
        if self.score is None:
            return f"{self.name}: rank {self.before}, below the {self.depth} that it reads"
        return f"{self.name}: {self.score:.4f}, rank {self.before} -> {self.after}"


@dataclass(frozen=True, slots=True)
class Explanation:
    """The scores of a document for a query.

    Attributes:
        query: its text.
        document: the document.
        score: the fused score; 0 where no channel returned the document.
        channels: in the order in which they are fused.
        reranked: what a reranker made of it; None where none was asked for.
        found: document -> fused score, best first, of all that the search found.
        result: of that search.
        asked: channel -> the query's rows by which it was searched, before feedback.

    >>> print(index.explain("which key", id="1"))
    1: 1.0000 for 'which key'
    rotate the key at night
    channel   score  rank   share  words
    dense    0.5179     1  0.2400  -
    sparse   5.0333     1  0.1800  key 5.03
    bm25     0.3830     1  0.5800  key 0.38
    """

    query: str
    document: Document
    score: float
    channels: tuple[ChannelPart, ...]
    reranked: RerankedPart | None = None
    found: Mapping[str, float] = field(default_factory=dict, repr=False)
    result: SearchResult | None = field(default=None, repr=False, compare=False)
    asked: Mapping[str, Representation] = field(default_factory=dict, repr=False, compare=False)

    @property
    def last_score(self) -> float:
        """The score that ranks the document: the reranker's where it read it, else the fused."""
        part = self.reranked
        return self.score if part is None or part.score is None else part.score

    @property
    def best_text(self) -> str:
        """Title and the passage to which most of the score is due; all where none has a row."""
        shares: defaultdict[Span, float] = defaultdict(float)
        for part in self.channels:
            if part.passage is not None:
                shares[part.passage] += part.share
        if not shares:
            return self.document.content
        return passage_text(self.document, heaviest_span(shares))

    def __str__(self) -> str:
        headings = ("channel", "score", "rank", "share", "words")
        rows = [headings, *(part._cells() for part in self.channels)]
        heading = f"{printable(self.document.id)}: {self.last_score:.4f} for {self.query!r}"
        text = printable(cut_line(self.best_text, _TEXT))
        searched = [
            f"{part.name} after feedback: {_shown(part.learnt[0], '.3g') or '-'}; "
            f"added {_shown(part.learnt[1], '.3g') or '-'}"
            for part in self.channels
            if part.query
        ]
        reranked = [] if self.reranked is None else [f"rerank by {self.reranked}"]
        units = [f"{part.name}: scores are of {part.unit}" for part in self.channels if part.unit]
        fields = [
            f"{part.name}: {_shown(part.fields, '.2f')}" for part in self.channels if part.fields
        ]
        table = align_columns(rows, left=(0, 4))
        return "\n".join([heading, text, table, *units, *fields, *searched, *reranked])
