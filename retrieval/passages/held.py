"""The passages of an index, as they were cut when its documents came in."""

from collections.abc import Container, Iterator

from index.folder import Index
from retrieval.passages.cutting import passage_text


def held_texts(index: Index, ids: Container[str] | None = None) -> Iterator[str]:
    """Yield the texts that were encoded for the live documents of an index, in order.

    Args:
        index: opened.
        ids: of the documents that are wanted; None is all of them.
    """
    for segment in index.opened:
        live, at = segment.documents.live, 0
        passages = segment.passages
        for ordinal, document in segment.documents.store.stream():
            first = at
            while at < len(passages) and passages[at, 0] == ordinal:
                at += 1
            if (live is None or live[ordinal]) and (ids is None or document.id in ids):
                for start, end in passages[first:at, 1:].tolist():
                    yield passage_text(document, (start, end))
