"""Documents of an index by their ids, many at a time: one by one takes many times as long.

Kinds of indexes that lie elsewhere register how they do it.
"""

from collections.abc import Collection, Iterable
from functools import singledispatch
from itertools import accumulate

from index.documents import Document
from index.folder import Index


@singledispatch
def number_documents(index: Index, ids: Collection[str]) -> dict[str, int]:
    """Return the number of each document, through all segments, as `Index.document_ids` has it.

    Raises:
        UnknownDocumentError: one is unknown or deleted.
    """
    starts = [*accumulate((each.record.documents for each in index.opened), initial=0)]
    return {name: starts[at] + ordinal for name, (at, ordinal) in index.locate(ids).items()}


@singledispatch
def read_documents(index: Index, ids: Iterable[str]) -> dict[str, Document]:
    """Return documents by id.

    Raises:
        UnknownDocumentError: one is unknown or deleted.
        ValueError: a file is damaged.
    """
    numbers = number_documents(index, list(ids))
    documents: dict[str, Document] = {}
    start = 0
    for segment in index.opened:
        end = start + segment.record.documents
        own = [at - start for at in numbers.values() if start <= at < end]
        documents |= {each.id: each for each in segment.documents.store.documents(own)}
        start = end
    return documents
