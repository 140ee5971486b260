"""Hits of a search: a list that prints as a table."""

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any, NamedTuple, SupportsIndex, overload

from embedder.text.layout import align_columns, cut_line
from embedder.text.printable import printable
from index.documents import Document
from index.read_documents import read_documents
from lastword.hit_passages import HitPassage, PassageFinder, show_passage
from retrieval.rerank.reranking import RerankedResult
from retrieval.retriever import Retriever
from retrieval.run import SearchResult, ranked

SNIPPET = 160  # characters


class ChannelRank(NamedTuple):
    """Where a channel ranked a document, from 1, and with which score."""

    rank: int
    score: float


@dataclass(frozen=True, slots=True, repr=False)
class Hit:
    """A document that a search returns.

    Attributes:
        rank: from 1.
        score: fused; not comparable between queries.
        document: all of it.
        channels: channel -> rank and score there, of the channels that returned it.
        first: rank and fused score before it was reranked; None where nothing was.
        passage: the part of its text by which it was found.

    >>> hit = index.search("how do I rotate a key")[0]
    >>> hit.rank, hit.id, hit.channels["bm25"].rank
    (1, '1', 1)
    >>> hit
    <hit 1: '1', score 1.0000, 'rotate the key at night'>
    """

    rank: int
    score: float
    document: Document
    channels: Mapping[str, ChannelRank]
    passage: HitPassage
    first: ChannelRank | None = None

    def __repr__(self) -> str:
        return f"<hit {self.rank}: {self.id!r}, score {self.score:.4f}, {self.snippet!r}>"

    @property
    def id(self) -> str:
        """Id of the document.

        >>> index.search("tea")[0].id
        '0'
        """
        return self.document.id

    @property
    def title(self) -> str:
        """Title of the document, "" where it has none.

        >>> index.search("tea")[0].title
        ''
        """
        return self.document.title

    @property
    def text(self) -> str:
        """Text of the document.

        >>> index.search("tea")[0].text
        'green tea is steeped for three minutes'
        """
        return self.document.text

    @property
    def metadata(self) -> Mapping[str, Any]:
        """Metadata of the document.

        >>> _ = index.add([{"id": "lava", "text": "lava cools into rock", "year": 1999}])
        >>> index.search("lava")[0].metadata["year"]
        1999
        """
        return self.document.metadata

    @property
    def snippet(self) -> str:
        """The beginning of title and text, or of the passage of a text that was cut, in one line.

        >>> index.search("tea")[0].snippet
        'green tea is steeped for three minutes'
        """
        return cut_line(show_passage(self.document, self.passage), SNIPPET)


class SearchHits(list[Hit]):
    """Hits of one query, best first; a list that prints as a table, in a notebook too.

    Attributes:
        query: its text.
        channels: names of the channels that were searched.
        seconds: step -> wall time.

    >>> hits = index.search("how do I rotate a key")
    >>> [hit.id for hit in hits], hits.query, hits.channels
    (['1', '0'], 'how do I rotate a key', ('dense', 'sparse', 'bm25'))
    >>> hits[:1]
    #   score  dense  sparse  bm25  id  text
    1  1.0000      1       1     1  1   rotate the key at night
    """

    def __init__(
        self,
        hits: Iterable[Hit] = (),
        query: str = "",
        channels: Iterable[str] = (),
        seconds: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__(hits)
        self.query, self.channels, self.seconds = query, tuple(channels), dict(seconds or {})

    @overload
    def __getitem__(self, index: SupportsIndex) -> Hit: ...
    @overload
    def __getitem__(self, index: slice) -> "SearchHits": ...
    def __getitem__(self, index: SupportsIndex | slice) -> "Hit | SearchHits":
        if isinstance(index, slice):
            return SearchHits(super().__getitem__(index), self.query, self.channels, self.seconds)
        return super().__getitem__(index)

    def __str__(self) -> str:
        if not self:
            return "(nothing found)"
        rows = [self._headings(), *(self._cells(hit) for hit in self)]
        columns = len(rows[0])
        return align_columns(rows, left=(columns - 2, columns - 1))  # id and text

    __repr__ = __str__

    def _repr_html_(self) -> str:
        def row(cells: Iterable[str], tag: str) -> str:
            return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"

        body = "".join(row(self._cells(hit), "td") for hit in self)
        return f"<table><thead>{row(self._headings(), 'th')}</thead><tbody>{body}</tbody></table>"

    def _rank_channels(self) -> tuple[str, ...]:
        return self.channels if len(self.channels) > 1 else ()

    def _headings(self) -> list[str]:
        first = ["first"] if any(hit.first for hit in self) else []
        return ["#", "score", *first, *self._rank_channels(), "id", "text"]

    def _cells(self, hit: Hit) -> list[str]:
        places = [hit.channels.get(channel) for channel in self._rank_channels()]
        places = [hit.first, *places] if hit.first else places
        ranks = ["-" if place is None else str(place.rank) for place in places]
        texts = (printable(hit.id), printable(hit.snippet))
        return [str(hit.rank), f"{hit.score:.4f}", *ranks, *texts]


def list_hits(
    result: SearchResult, queries: Mapping[str, str], retriever: Retriever
) -> dict[str, SearchHits]:
    """List the hits of each query, with the rank that each channel gave, and the passage.

    Args:
        result: of at most a retriever's `BATCH` queries.
        queries: the texts of these, by id.
        retriever: that answered.
    """
    documents = read_documents(
        retriever.index, [name for found in result.run.values() for name in found]
    )
    finder = PassageFinder(retriever, result, queries)
    listed = {}
    for query_id, query in queries.items():
        found = result.run[query_id]
        ranks = {channel: _ranks(run[query_id], found) for channel, run in result.channels.items()}
        first = _ranks(result.first[query_id], found) if isinstance(result, RerankedResult) else {}
        hits = [
            Hit(
                rank,
                score,
                documents[name],
                {channel: places[name] for channel, places in ranks.items() if name in places},
                finder.find(query_id, documents[name]),
                first.get(name),
            )
            for rank, (name, score) in enumerate(ranked(found), start=1)
        ]
        listed[query_id] = SearchHits(hits, query, result.channels, result.seconds)
    return listed


def _ranks(scores: Mapping[str, float], wanted: Collection[str]) -> dict[str, ChannelRank]:
    """Return the place of some documents, as `ranked` has it, without ordering all."""
    rising, places = sorted(scores.values()), {}
    for document in scores.keys() & wanted:
        score = scores[document]
        end = bisect_right(rising, score)
        rank = len(rising) - end + 1
        if bisect_left(rising, score) < end - 1:  # of equal scores the id that sorts first
            rank += sum(own == score and name < document for name, own in scores.items())
        places[document] = ChannelRank(rank, score)
    return places
