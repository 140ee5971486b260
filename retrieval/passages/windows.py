"""Windows: the passages that an encoder gets at once, cut from a stream of documents.

Windows and segments begin at the same documents whether or not work was interrupted, and however
far ahead of their use they are read.
"""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from index.documents import Document
from retrieval.options import BuildOptions
from retrieval.passages.cutting import Cutter, Span
from retrieval.source import DocumentReader

DocumentPassage = tuple[Document, Span]
"""A document, and where one of its passages begins and ends."""


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """Passages that are encoded together, and how far the source was read for them.

    Attributes:
        documents: those that were read since the window before, with all of their passages and
            their numbers in the source; some of these passages may come in later windows.
        passages: in order; none only in the last window of a segment.
        consumed: documents of the source that were read, those that were left out too.
        digest: of these.
        skipped: documents that were left out since the window before.
        last: the segment ends here.
    """

    documents: list[tuple[Document, list[Span], int]]
    passages: list[DocumentPassage]
    consumed: int
    digest: str
    skipped: int
    last: bool


def read_windows(source: DocumentReader, cutter: Cutter, options: BuildOptions) -> Iterator[Window]:
    """Yield the windows of a source, which is read no further than each needs.

    Raises:
        ValueError: a document is empty and may not be.
    """
    while not source.exhausted:
        yield from _segment_windows(source, cutter, options)


def begin_ahead(
    windows: Iterator[Window], begin: Callable[[Window], object], ahead: int
) -> Iterator[Window]:
    """Yield windows in order; `begin` has been called for so many behind the one that is yielded.

    Args:
        windows: read when they are begun.
        begin: called for each, in order.
        ahead: at least 0.
    """
    begun: deque[Window] = deque()
    for window in windows:
        begin(window)
        begun.append(window)
        if len(begun) > ahead:
            yield begun.popleft()
    yield from begun


def _segment_windows(
    source: DocumentReader, cutter: Cutter, options: BuildOptions
) -> Iterator[Window]:
    documents: list[tuple[Document, list[Span], int]] = []
    waiting: list[DocumentPassage] = []
    read = skipped = 0
    for document in source:
        if not document.content and _leaves_out(document, source.consumed, options):
            skipped += 1
            continue
        spans = cutter.spans(document)
        documents.append((document, spans, source.consumed))
        waiting += [(document, span) for span in spans]
        read += 1
        while len(waiting) >= options.window:
            full, waiting = waiting[: options.window], waiting[options.window :]
            yield Window(documents, full, source.consumed, source.digest, skipped, last=False)
            documents, skipped = [], 0
        if read == options.segment_documents:
            break
    yield Window(documents, waiting, source.consumed, source.digest, skipped, last=True)


def _leaves_out(document: Document, number: int, options: BuildOptions) -> bool:
    if options.on_empty == "error":
        raise ValueError(
            f"document {document.id!r} (number {number} of the source) has neither title nor "
            "text; leave such documents out or keep them: --on-empty skip or keep "
            "(on_empty in Python)"
        )
    return options.on_empty == "skip"
