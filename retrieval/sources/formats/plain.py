"""Plain text, source code and reStructuredText: a file is one document."""

import re
from collections.abc import Iterator
from pathlib import Path

from embedder.files.lines import raw_lines
from index.documents import Document
from retrieval.sources.decoding import decode, find_encoding, without_mark
from retrieval.sources.items import Blob, Notes, ReadItems, UnreadableError
from retrieval.sources.options import SourceOptions

_SAMPLE = 1 << 20  # bytes by which the encoding of a file of lines is found
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


def look_ahead(blob: Blob, notes: Notes) -> tuple[bytes, str]:
    """Return the beginning of a file of lines, and its encoding; one that is guessed is noted.

    Raises:
        UnreadableError: it is no text.
    """
    sample = blob.stream.read(_SAMPLE)
    blob.stream.seek(0)
    encoding = find_encoding(sample)
    if encoding != "utf-8" and sample == without_mark(sample):
        notes.add("encoding", f"{blob.id} ({encoding})")
    return sample, encoding


def text_lines(
    blob: Blob, encoding: str, options: SourceOptions, notes: Notes
) -> Iterator[tuple[int, str]]:
    """Yield (number, line) of a file, one line in memory at a time.

    A line that is not of the encoding is read as Windows-1252, which is noted. Only files of two
    or four bytes a character, and those whose lines end with a carriage return, are read whole.

    Raises:
        UnreadableError: such a file is longer than a document may be.
        ValueError: a line is longer than LONGEST_LINE.
    """
    sample = blob.stream.read(_SAMPLE)
    blob.stream.seek(0)
    if encoding.startswith(("utf-16", "utf-32")) or (b"\r" in sample and b"\n" not in sample):
        text = without_mark(read_bytes(blob, options)).decode(encoding, "replace")
        yield from enumerate(text.replace("\0", "").splitlines(keepends=True), start=1)
        return
    for number, raw in enumerate(raw_lines(blob.stream, Path(blob.place)), start=1):
        raw = without_mark(raw) if encoding == "utf-8" else raw
        try:
            line = raw.decode(encoding)
        except UnicodeDecodeError:
            line = raw.decode("cp1252", "replace")
            notes.add("encoding", f"{blob.place}:{number} (cp1252)")
        yield number, line.replace("\0", "")


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
