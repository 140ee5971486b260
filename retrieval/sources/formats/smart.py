"""SMART's collections (CISI, Cranfield, MED, CACM): `.I id`, then `.T` title, `.W` text, ....

G. Salton (ed.), "The SMART Retrieval System", 1971.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from embedder.files.lines import raw_lines
from index.documents import Document
from retrieval.sources.decoding import decode
from retrieval.sources.items import Blob, Notes, ReadItems, Skipped, UnreadableError
from retrieval.sources.options import SourceOptions

_RECORD = re.compile(rb"\.I\s+(\S+)\s*")
_FIELD = re.compile(rb"\.([A-Z])\s*")
_FACTS = {"A": "author", "B": "source", "K": "keywords", "N": "note"}

SmartRecord = tuple[str, dict[str, str]]
"""Place of a record, and field -> text; "I" is its id."""


def read_smart(blob: Blob, options: SourceOptions, notes: Notes) -> ReadItems:
    """Read a file of documents; references to others (.X) are left out."""
    for place, fields in read_records(blob, options, notes):
        try:
            facts = {name: fields[key] for key, name in _FACTS.items() if fields.get(key)}
            yield place, Document(fields["I"], fields.get("T", ""), fields.get("W", ""), facts)
        except ValueError as error:
            yield Skipped(place, " ".join(str(error).split()))


def read_records(blob: Blob, options: SourceOptions, notes: Notes) -> Iterator[SmartRecord]:
    """Yield the records of a file, of documents or queries.

    Raises:
        UnreadableError: one is longer than a document may be, or no text.
    """
    parts: dict[str, list[bytes]] = {}
    place, field, size = "", "", 0
    for number, line in enumerate(raw_lines(blob.stream, Path(blob.place)), start=1):
        bare = line.rstrip(b"\r\n")
        if record := _RECORD.fullmatch(bare):
            if parts:
                yield place, _decoded(parts, blob.id, notes)
            parts, field, size = {"I": [record[1]]}, "", 0
            place = f"{blob.place}:{number}"
        elif mark := _FIELD.fullmatch(bare):
            field = mark[1].decode()
        elif parts and field:
            size += len(line)
            if size > options.max_bytes:
                raise UnreadableError(f"a record is longer than {options.max_megabytes} MB")
            parts.setdefault(field, []).append(bare + b"\n")
    if parts:
        yield place, _decoded(parts, blob.id, notes)


def _decoded(parts: dict[str, list[bytes]], name: str, notes: Notes) -> dict[str, str]:
    return {field: decode(b"".join(lines), name, notes).strip() for field, lines in parts.items()}
