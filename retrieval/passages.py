"""Cut long documents into passages, each of which is encoded with the document's title."""

import re
from collections.abc import Iterator

from embedder.text.fields import FieldedText
from embedder.text.language_detection import READ
from embedder.text.words import is_unspaced
from index.documents import Document
from index.manifest import Passages

_SPACED = re.compile(r"\S+")


def spans(text: str, passages: Passages | None) -> list[tuple[int, int]]:
    """Return (start, end) of each passage in `text`, in order; at least one.

    A word is a run without white space, and a single character of a script that is written
    without spaces. The last passage may be shorter; it is never a mere repetition of
    the overlap.

    Args:
        text: body of a document.
        passages: how to cut; None leaves the text whole.
    """
    if passages is None:
        return [(0, len(text))]
    words = list(_words(text))
    if len(words) <= passages.words:
        return [(0, len(text))]
    step = passages.words - passages.overlap
    starts = range(0, len(words) - passages.overlap, step)
    ends = (min(first + passages.words, len(words)) for first in starts)
    return [(words[first][0], words[end - 1][1]) for first, end in zip(starts, ends, strict=True)]


def passage_text(document: Document, span: tuple[int, int]) -> str:
    """Return the text that is encoded for a passage: the title and its part of the text."""
    start, end = span
    if end - start == len(document.text):
        return document.content
    return (document.title + " " + document.text[start:end]).strip()


def fielded_text(document: Document, span: tuple[int, int]) -> FieldedText:
    """Return a passage with the fields of its document, for encoders that tell them apart."""
    start, end = span
    opening = f"{document.title} {document.text[:READ]}".strip()
    return FieldedText(document.text[start:end], document.title, opening, document.metadata)


def _words(text: str) -> Iterator[tuple[int, int]]:
    for match in _SPACED.finditer(text):
        start, end = match.span()
        if match.group().isascii():
            yield start, end
            continue
        for at in range(start, end):
            if is_unspaced(text[at]):
                if start < at:
                    yield start, at
                yield at, at + 1
                start = at + 1
        if start < end:
            yield start, end
