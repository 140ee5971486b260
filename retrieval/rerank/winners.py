"""The passages by which documents were found, of those into which they were cut."""

from collections import defaultdict
from collections.abc import Collection, Mapping

import numpy as np
from numpy.typing import NDArray

from index.base import NO_ROW
from index.read_documents import number_documents
from retrieval.passages.cutting import Span, heaviest_span
from retrieval.retriever import Retriever
from retrieval.run import OwnedHits, SearchResult, only_channel

ChannelSpans = dict[str, Span]
"""Channel -> the passage by which it found a document."""


def winning_spans(
    retriever: Retriever, result: SearchResult, wanted: Mapping[str, Collection[str]]
) -> dict[str, dict[str, Span]]:
    """Return query id -> document id -> the passage to which most of its fused score is due.

    A document that no channel of the index found, and all where none were cut, are left out.

    Args:
        retriever: that answered.
        result: its answer to at most `BATCH` queries, of which it holds the rows.
        wanted: of these queries, the ids of documents.
    """
    index = retriever.index
    held = index.manifest.segments  # of none that lies elsewhere
    if held and not any(segment.passages > segment.documents for segment in held):
        return {query_id: {} for query_id in wanted}
    positions = {query_id: at for at, query_id in enumerate(result.run)}
    numbers = number_documents(index, {each for ids in wanted.values() for each in ids})
    spans: dict[str, dict[str, Span]] = {}
    for query_id, ids in wanted.items():
        found: dict[str, ChannelSpans] = {}
        for channel, hits in result.hits.items():
            owners = index.channel_rows(channel).documents
            rows = _best_rows(hits, positions[query_id], owners, {numbers[name] for name in ids})
            for name in ids:
                if numbers[name] in rows:
                    span = index.passage(channel, rows[numbers[name]])
                    found.setdefault(name, {})[channel] = span
        spans[query_id] = _heaviest_spans(retriever, result, query_id, found)
    return spans


def _best_rows(
    hits: OwnedHits, position: int, owners: NDArray[np.int64], wanted: Collection[int]
) -> dict[int, int]:
    """Return the best row of each wanted document that one query found, of equals the first.

    Args:
        hits: of all queries.
        position: of the query.
        owners: (rows,) number of the document of each row of the channel.
        wanted: numbers of documents.
    """
    best: dict[int, tuple[float, int]] = {}
    chosen = np.fromiter(wanted, np.int64, len(wanted))
    for at in np.flatnonzero(hits.owner == position).tolist():
        rows = hits.hits.rows[at]
        documents = owners[rows[rows != NO_ROW]]  # pads are the last
        seen = set[int]()  # hits do not increase: the first of a document is its best
        for place in np.flatnonzero(np.isin(documents, chosen)).tolist():
            document = int(documents[place])
            if document not in seen:
                seen.add(document)
                pair = (float(hits.hits.scores[at, place]), -int(rows[place]))
                best[document] = max(best.get(document, pair), pair)
    return {document: -row for document, (_, row) in best.items()}


def _heaviest_spans(
    retriever: Retriever, result: SearchResult, query_id: str, found: Mapping[str, ChannelSpans]
) -> dict[str, Span]:
    """Return the winning passage of each document that one query found."""
    if all(len({*by_channel.values()}) == 1 for by_channel in found.values()):
        return {name: next(iter(spans.values())) for name, spans in found.items()}
    runs = {channel: {query_id: run[query_id]} for channel, run in result.channels.items()}
    parts = {
        channel: retriever.fuse(only_channel(channel, runs))[query_id] for channel in result.hits
    }
    winners = {}
    for name, by_channel in found.items():
        shares: defaultdict[Span, float] = defaultdict(float)
        for channel, span in by_channel.items():
            shares[span] += parts[channel].get(name, 0.0)
        winners[name] = heaviest_span(shares)
    return winners
