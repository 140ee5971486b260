"""How a document matches a query, channel by channel: what its explanation says."""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from embedder.encoders.bm25 import BM25Encoder
from embedder.inspect.word_columns import heaviest, piece_words, whole_words
from embedder.types import Encoder, Representation
from index.channel import Match
from index.documents import Document
from index.folder import Index
from retrieval.explain import ChannelPart, Explanation
from retrieval.outside.channel import OutsideChannel
from retrieval.passages.cutting import fielded_text
from retrieval.run import Run, SearchResult, only_channel, ranked

_HUNDREDTHS = (
    "whole hundredths of the weights of query and document: 10,000 times those of the weights"
)


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
        return Explanation(
            self.text, document, score, parts, found=found, result=self.found, asked=self.asked
        )

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
