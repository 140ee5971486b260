"""Plain text, source code and reStructuredText: a file is one document."""

import re

from index.documents import Document
from retrieval.sources.decoding import decode
from retrieval.sources.items import Blob, Notes, ReadItems, UnreadableError
from retrieval.sources.options import SourceOptions

_ADORNMENT = re.compile(r"([!-/:-@\[-`{-~])\1{2,}")


def read_text(blob: Blob, options: SourceOptions, notes: Notes, declared: str = "") -> str:
    """Return the text of a file that is one document.

    Raises:
        UnreadableError: it is too long, or no text.
    """
    return decode(read_bytes(blob, options), blob.id, notes, declared)


def read_bytes(blob: Blob, options: SourceOptions) -> bytes:
    """Return the bytes of a file that is one document.

    Raises:
        UnreadableError: there are too many.
    """
    raw = b"" if blob.size > options.max_bytes else blob.stream.read(options.max_bytes + 1)
    if max(len(raw), blob.size) > options.max_bytes:
        raise UnreadableError(
            f"it is longer than {options.max_megabytes} MB (--max-file-mb allows more)"
        )
    return raw


def read_plain(blob: Blob, options: SourceOptions, notes: Notes) -> ReadItems:
    """Read a file as one text without a title."""
    yield blob.place, Document(blob.id, "", read_text(blob, options, notes))


def read_rst(blob: Blob, options: SourceOptions, notes: Notes) -> ReadItems:
    """Read reStructuredText, whose first section title is the title; the markup stays."""
    text = read_text(blob, options, notes)
    yield blob.place, Document(blob.id, *split_title(text))


def split_title(text: str) -> tuple[str, str]:
    """Return the first underlined line of reStructuredText, and the text without it on top."""
    lines = text.split("\n")
    for at in range(len(lines) - 1):
        title, under = lines[at].strip(), lines[at + 1].rstrip()
        if not title or not _ADORNMENT.fullmatch(under) or _ADORNMENT.fullmatch(title):
            continue
        if len(under) < min(len(title), 4):
            continue
        over = at > 0 and lines[at - 1].rstrip() == under
        before = lines[: at - over]
        if any(line.strip() for line in before):
            return title, text
        return title, "\n".join(lines[at + 2 :]).lstrip("\r\n")
    return "", text
