"""The passages by which documents were found, of those into which they were cut."""

from collections import defaultdict
from collections.abc import Collection, Mapping

from retrieval.passages.cutting import Span
from retrieval.retriever import Retriever
from retrieval.run import SearchResult, best_rows, only_channel


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
    index, spans = retriever.index, {query_id: dict[str, Span]() for query_id in wanted}
    if not any(segment.passages > segment.documents for segment in index.manifest.segments):
        return spans
    positions = {query_id: at for at, query_id in enumerate(result.run)}
    shares = {query_id: dict[str, defaultdict[Span, float]]() for query_id in wanted}
    for channel, hits in result.hits.items():
        parts = retriever.fuse(only_channel(channel, result.channels))
        for query_id, documents in wanted.items():
            own = hits.of(positions[query_id])
            for document, row in best_rows(own, retriever.row_ids[channel], documents).items():
                part = parts[query_id].get(document, 0.0)
                by_span = shares[query_id].setdefault(document, defaultdict(float))
                by_span[index.passage(channel, row)] += part
    for query_id, by_document in shares.items():
        for document, by_span in by_document.items():
            spans[query_id][document] = heaviest_span(by_span)
    return spans


def heaviest_span(parts: Mapping[Span, float]) -> Span:
    """Return the passage with the largest part of a score, of equals the first in the text."""
    return max(parts, key=lambda span: (parts[span], -span[0]))
