"""Texts that belong to rows by their ids, whatever the order of both: joined on disk."""

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from index.document_store import DocumentStore, DocumentWriter
from index.documents import Document
from index.live_rows import DocumentBlock
from retrieval.source import DocumentReader


def with_texts(
    blocks: Iterator[DocumentBlock], texts: Iterable[Document], folder: Path, counts: Counter[str]
) -> Iterator[DocumentBlock]:
    """Yield blocks whose documents have the texts of those with their ids.

    Args:
        blocks: with documents that may have no text; as they are where there are no texts.
        texts: read once, into a file.
        folder: of that file.
        counts: "without_text" is raised for every document that is not among the texts.

    Raises:
        ValueError: an id comes twice among the texts.
    """
    source = DocumentReader(texts)
    if source.exhausted:
        yield from blocks
        return
    writer = DocumentWriter(folder / "texts.sqlite")
    try:
        writer.add(source)
        writer.close()
    except BaseException:
        writer.abandon()
        raise
    store = DocumentStore(folder / "texts.sqlite")
    try:
        for block in blocks:
            places = store.find([document.id for document in block.documents])
            documents = [
                store.document(places[document.id]) if document.id in places else document
                for document in block.documents
            ]
            counts["without_text"] += len(documents) - len(places)
            yield DocumentBlock(documents, block.rows)
    finally:
        store.close()
