"""Why a document was found: its score in each channel, and the words that carried it."""

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from embedder.inspect.word_columns import piece_words, whole_words
from embedder.text.layout import align_columns, cut_line
from embedder.text.printable import printable
from embedder.types import Encoder, Representation
from index.channel import Match
from index.documents import Document
from index.folder import Index

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
    """

    name: str
    score: float
    rank: int | None
    share: float
    words: tuple[tuple[str, float], ...]
    passage: tuple[int, int] | None
    query: tuple[tuple[str, float], ...] = ()

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

    def __str__(self) -> str:
        headings = ("channel", "score", "rank", "share", "words")
        rows = [headings, *(part._cells() for part in self.channels)]
        heading = f"{printable(self.document.id)}: {self.score:.4f} for {self.query!r}"
        text = printable(cut_line(self.document.content, _TEXT))
        searched = [
            f"{part.name} after feedback: {_shown(part.query, '.3g')}"
            for part in self.channels
            if part.query
        ]
        reranked = [] if self.reranked is None else [f"rerank by {self.reranked}"]
        table = align_columns(rows, left=(0, 4))
        return "\n".join([heading, text, table, *searched, *reranked])


@dataclass(frozen=True, slots=True)
class DocumentMatch:
    """A document against all rows of a query, in one channel; fields as in `ChannelPart`."""

    score: float
    terms: Mapping[int, float]
    passage: tuple[int, int] | None


def match_document(
    index: Index, channel: str, query: Representation, document_id: str
) -> DocumentMatch:
    """Score a document exactly, as a search of the channel would.

    The best row of the document counts; where a query has several rows, the scores for each are
    summed, none less than 0 (PromptReps, Zhuang et al., EMNLP 2024).
    """
    best: list[Match] = []
    for at in range(len(query)):
        matches = index.matches(channel, query.of_row(at), document_id)
        if matches:
            best.append(max(matches, key=lambda match: (match.score, -match.row)))
    if not best:
        return DocumentMatch(0.0, {}, None)
    terms: Counter[int] = Counter()
    for match in best:
        terms.update(match.terms)
    scores = [match.score for match in best]
    strongest = max(best, key=lambda match: match.score)
    return DocumentMatch(
        score=scores[0] if len(query) == 1 else sum(max(score, 0.0) for score in scores),
        terms=terms,
        passage=index.passage(channel, strongest.row),
    )


def sum_terms(rows: Representation) -> dict[int, float]:
    """Return the weight of each column in the sum of sparse rows; nothing for dense ones."""
    total: defaultdict[int, float] = defaultdict(float)
    if rows.sparse is not None:
        for column, weight in zip(rows.sparse.indices, rows.sparse.data, strict=True):
            total[int(column)] += float(weight)
    return dict(total)


def heaviest_words(
    encoder: Encoder,
    terms: Mapping[int, float],
    texts: Sequence[str],
    limit: int,
    pieces: bool = False,
) -> tuple[tuple[str, float], ...]:
    """Name the heaviest words of the texts, by the sum of their pieces' parts, or the pieces."""
    if pieces:
        return tuple(piece_words(encoder, terms, texts)[:limit])
    return tuple(whole_words(encoder, terms, texts, join=math.fsum)[:limit])
