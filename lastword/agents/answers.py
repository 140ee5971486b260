"""What the tools for agents answer: small values that become JSON, texts cut to what is read."""

from dataclasses import dataclass
from typing import Any

from index.documents import Document
from index.filters.expression import write_field
from lastword.engine import SearchEngine
from lastword.hits import Hit
from retrieval.explain import ChannelPart, Explanation

PASSAGE_CHARACTERS = 2_000
WORDS = 10  # of each channel


@dataclass(frozen=True)  # without slots, which mcp takes for defaults
class FoundPassage:
    """A hit, with the passage by which it was found.

    Attributes:
        rank: from 1.
        id: of the document, for `get_document` and `explain`.
        score: fused; not comparable between queries.
        title: of the document, "" where it has none.
        passage: text by which it was found, at most PASSAGE_CHARACTERS of it.
        start: its first character in the text of the document.
        end: one past its last.
        characters: of the whole text of the document.
        page: on which the passage begins, from 1; None where the document has no pages.
        ranks: channel -> rank there, of the channels that returned it.
        metadata: of the document.
    """

    rank: int
    id: str
    score: float
    title: str
    passage: str
    start: int
    end: int
    characters: int
    page: int | None
    ranks: dict[str, int]
    metadata: dict[str, Any]

    @classmethod
    def of(cls, hit: Hit) -> "FoundPassage":
        """Take what an agent needs of a hit."""
        start, text = hit.passage.start, hit.passage.text[:PASSAGE_CHARACTERS]
        place = (start, start + len(text), len(hit.text), hit.passage.page)
        ranks = {name: place.rank for name, place in hit.channels.items()}
        head = (hit.rank, hit.id, hit.score, hit.title)
        return cls(*head, text, *place, ranks, dict(hit.metadata))


@dataclass(frozen=True)
class FoundPassages:
    """What a search found.

    Attributes:
        index: that was searched.
        hits: best first; empty where nothing was found.
        remarks: what to know of the answer, such as a field that no document has.
    """

    index: str
    hits: list[FoundPassage]
    remarks: list[str]


@dataclass(frozen=True)
class DocumentPart:
    """A document, or a part of its text.

    Attributes:
        index: that holds it.
        id: of the document.
        title: "" where it has none.
        text: from `start`.
        start: its first character in the whole text.
        end: one past its last.
        characters: of the whole text; more than `end` where there is more to read.
        metadata: of the document.
    """

    index: str
    id: str
    title: str
    text: str
    start: int
    end: int
    characters: int
    metadata: dict[str, Any]

    @classmethod
    def of(cls, index: str, document: Document, start: int, characters: int) -> "DocumentPart":
        """Take a part of a document."""
        text, whole = document.text[start : start + characters], len(document.text)
        start = min(start, whole)
        place = (start, start + len(text), whole)
        return cls(index, document.id, document.title, text, *place, dict(document.metadata))


@dataclass(frozen=True)
class ChannelReasons:
    """What one channel made of a document.

    Attributes:
        channel: its name.
        rank: from 1; None where the channel did not return the document.
        score: in the channel.
        share: the channel's part of the fused score.
        words: heaviest words -> their part of `score`; empty for dense rows.
    """

    channel: str
    rank: int | None
    score: float
    share: float
    words: dict[str, float]

    @classmethod
    def of(cls, part: ChannelPart) -> "ChannelReasons":
        """Take what an agent needs of a channel's part."""
        return cls(part.name, part.rank, part.score, part.share, dict(part.words[:WORDS]))


@dataclass(frozen=True)
class Reasons:
    """Why a document was found, or not.

    Attributes:
        index: that holds it.
        id: of the document.
        score: fused; 0 where no channel returned the document.
        channels: in the order in which they are fused.
    """

    index: str
    id: str
    score: float
    channels: list[ChannelReasons]

    @classmethod
    def of(cls, index: str, explanation: Explanation) -> "Reasons":
        """Take what an agent needs of an explanation."""
        parts = [ChannelReasons.of(part) for part in explanation.channels]
        return cls(index, explanation.document.id, explanation.score, parts)


@dataclass(frozen=True)
class IndexSummary:
    """What an index holds.

    Attributes:
        name: by which tools take it.
        documents: how many.
        channels: that are searched.
        fusion: how they become one ranking, "" where there is one.
        fields: of metadata, for filters.
    """

    name: str
    documents: int
    channels: list[str]
    fusion: str
    fields: list[str]

    @classmethod
    def of(cls, name: str, engine: SearchEngine) -> "IndexSummary":
        """Sum an index up; its metadata is read once for it."""
        segments = engine.retriever.index.opened
        fields = {write_field(each) for segment in segments for each in segment.columns.names()}
        fusion = engine.fusion if len(engine.channels) > 1 else ""
        return cls(name, len(engine), list(engine.channels), fusion, sorted(fields))
