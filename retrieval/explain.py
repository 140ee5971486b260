"""Why a document was found: its score in each channel, and the words that carried it."""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from embedder.encoders.bm25 import BM25Encoder
from embedder.inspect.word_columns import heaviest, piece_words, whole_words
from embedder.text.layout import align_columns, cut_line
from embedder.text.printable import printable
from embedder.types import Encoder, Representation
from index.channel import Match
from index.documents import Document
from index.folder import Index
from retrieval.outside.channel import OutsideChannel
from retrieval.passages.cutting import fielded_text
from retrieval.run import Run, SearchResult, only_channel, ranked

_TEXT = 160  # characters
_WORDS = 8  # of each channel
_HUNDREDTHS = (
    "whole hundredths of the weights of query and document: 10,000 times those of the weights"
)


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

    @property
    def last_score(self) -> float:
        """The score that ranks the document: the reranker's where it read it, else the fused."""
        part = self.reranked
        return self.score if part is None or part.score is None else part.score

    def __str__(self) -> str:
        headings = ("channel", "score", "rank", "share", "words")
        rows = [headings, *(part._cells() for part in self.channels)]
        heading = f"{printable(self.document.id)}: {self.last_score:.4f} for {self.query!r}"
        text = printable(cut_line(self.document.content, _TEXT))
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


@dataclass(frozen=True, slots=True, eq=False)
class SearchedQuery:
    """What a search did with one query in every channel, by which documents are explained.

    Attributes:
        text: of the query.
        index: takes prepared queries as they are, see `Index.with_fits`.
        encoders: channel of the index -> encoder.
        outside: name -> channel beside the index.
        asked: channel -> the query's rows, before feedback.
        rows: the same, after it.
        taught: channel -> ids of the documents that the query learnt from.
        found: the search for this one query.
        fuse: runs of all channels, in their order -> one.
    """

    text: str
    index: Index
    encoders: Mapping[str, Encoder]
    outside: Mapping[str, OutsideChannel]
    asked: Mapping[str, Representation]
    rows: Mapping[str, Representation]
    taught: Mapping[str, Sequence[str]]
    found: SearchResult
    fuse: Callable[[Sequence[Run]], Run]

    def explain(self, document_id: str, words: int, pieces: bool) -> Explanation:
        """Score a document in every channel; arguments are those of `Retriever.explain`."""
        document = self.index.document(document_id)
        parts = tuple(self._part(name, document, words, pieces) for name in self.found.channels)
        found = dict(ranked(_only(self.found.run)))
        score = found.get(document_id, 0.0)
        return Explanation(self.text, document, score, parts, found=found, result=self.found)

    def _part(self, name: str, document: Document, words: int, pieces: bool) -> ChannelPart:
        order = [found for found, _ in ranked(_only(self.found.channels[name]))]
        rank = order.index(document.id) + 1 if document.id in order else None
        share = _only(self.fuse(only_channel(name, self.found.channels))).get(document.id, 0.0)
        if channel := self.outside.get(name):
            there = channel.match(self.text, self.rows.get(name), document.id)
            heavy = tuple(heaviest(there.words.items())[:words])
            return ChannelPart(name, there.score, rank, share, heavy, None, unit=there.unit)
        match = match_document(self.index, name, self.rows[name], document.id)
        name_words = partial(heaviest_words, self.encoders[name], limit=words, pieces=pieces)
        heavy = name_words(match.terms, [self.text, document.content])
        spec = self.index.channels[name]
        learnt: tuple[tuple[str, float], ...] = ()
        added: tuple[str, ...] = ()
        # An encoder of both kinds gives terms beside dense rows, which are searched alone.
        if name in self.taught and spec.kind != "dense":
            texts = [self.index.document(each).content for each in self.taught[name]]
            learnt = name_words(sum_terms(self.rows[name]), [self.text, *texts])
            asked = sum_terms(self.asked[name])
            known = dict(name_words(asked, [self.text, *texts], limit=len(asked)))
            added = tuple(word for word, _ in learnt if word not in known)
        impacts = spec.weighting is not None and spec.weighting.kind == "impacts"
        unit = _HUNDREDTHS if impacts and spec.engine == "lucene" else ""
        passage = match.passage
        fields = _field_parts(self.encoders[name], document, match)
        return ChannelPart(
            name, match.score, rank, share, heavy, passage, learnt, added, unit, fields
        )


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


def _field_parts(
    encoder: Encoder, document: Document, match: DocumentMatch
) -> tuple[tuple[str, float], ...]:
    """Share a score among the fields of a document; nothing where they are not weighted."""
    if not isinstance(encoder, BM25Encoder) or not encoder.fields or match.passage is None:
        return ()
    passage = fielded_text(document, match.passage)
    parts = encoder.weigh_fields(passage, match.terms)
    return tuple(heaviest((name, part) for name, part in parts.items() if part))


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


def _only(run: Run) -> Mapping[str, float]:
    """Return the scores of the one query of a run."""
    (scores,) = run.values()
    return scores
