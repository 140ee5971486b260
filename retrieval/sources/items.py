"""What reading gives: documents with their places, what was skipped, and remarks."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, Literal

from index.documents import Document

SkipKind = Literal[
    "ignored", "broken", "repeated", "links", "hidden", "rules", "patterns", "empty", "unreadable"
]
SKIPPED: Mapping[SkipKind, tuple[str, str, str]] = {
    "ignored": ("file", "files", "of other kinds"),
    "broken": ("link", "links", "to nothing"),
    "repeated": ("link", "links", "to what is read under another name"),
    "links": ("link", "links", "as asked"),
    "hidden": ("hidden name", "hidden names", "(--hidden reads them)"),
    "rules": ("name", "names", "that ignore files list (--no-ignore reads them)"),
    "patterns": ("name", "names", "by --include or --exclude"),
    "empty": ("text", "texts", "without words"),
    "unreadable": ("text", "texts", "that could not be read"),
}
"""Kind -> one, several, and what follows, for "skipped 3 links to nothing"."""
FAULTS = ("empty", "unreadable")
"""Kinds that are faults of the file, and stop the work where that is asked for."""

NoteKind = Literal[
    "encoding", "controls", "fields", "numbered", "renamed", "attachments", "header", "cells"
]
_NOTES: Mapping[NoteKind, str] = {
    "encoding": "not UTF-8: the encoding was guessed",
    "controls": "control characters dropped",
    "fields": "no field is called text: all text fields were taken (--text names one)",
    "numbered": "records without an id were numbered",
    "renamed": "ids that came before are written FILE#ID",
    "attachments": "attachments not read",
    "header": "a header that could not be read was left in the text",
    "cells": "rows with too many or too few cells",
}


@dataclass(frozen=True, slots=True)
class Skipped:
    """Something that is not read, by name and reason.

    Attributes:
        name: the id that it would have, or the path; with a line where it is a record.
        reason: in a few words.
        kind: see SKIPPED.
        inner: it is in an archive, whose other members are read.
    """

    name: str
    reason: str
    kind: SkipKind = "unreadable"
    inner: bool = False


Placed = tuple[str, Document]
"""A place, "FILE" or "FILE:LINE", for errors; and the document there."""
Item = Placed | Skipped
ReadItems = Iterator[Item]


@dataclass(slots=True)
class Notes:
    """Remarks on what was read: how often, and the first names of each kind."""

    counts: Counter[str] = field(default_factory=Counter)
    names: dict[str, list[str]] = field(default_factory=dict)

    def add(self, kind: NoteKind, name: str, count: int = 1) -> None:
        """Note something about the text of that name."""
        self.counts[kind] += count
        named = self.names.setdefault(kind, [])
        if name not in named and len(named) < 1000:
            named.append(name)

    def merge(self, other: "Notes") -> None:
        """Take in what was noted elsewhere."""
        self.counts.update(other.counts)
        for kind, names in other.names.items():
            mine = self.names.setdefault(kind, [])
            mine.extend(name for name in names[: 1000 - len(mine)] if name not in mine)

    def sentences(self) -> list[str]:
        """Write a line a kind: how many, what, and an example."""
        return [
            f"{count:,}: {_NOTES[kind]}, e.g. in {self.names[kind][0]}"
            for kind in _NOTES
            if (count := self.counts[kind])
        ]


@dataclass(frozen=True, slots=True)
class Blob:
    """A file, or a member of an archive, that is read once.

    Attributes:
        id: of the document that it is; of several, what their ids begin with.
        place: what errors call it.
        stream: its bytes, from the beginning; seekable.
        size: number of bytes, or -1 where it is not known before they are unpacked.
        depth: number of archives around it.
    """

    id: str
    place: str
    stream: BinaryIO
    size: int
    depth: int = 0

    @property
    def suffix(self) -> str:
        """The last suffix, in lower case."""
        return Path(self.id).suffix.lower()

    def inside(self, name: str, data: bytes) -> "Blob":
        """Return a member; its id and place are paths through the archive."""
        return Blob(
            f"{self.id}/{name}", f"{self.place}/{name}", BytesIO(data), len(data), self.depth + 1
        )


class UnreadableError(ValueError):
    """What a file or record holds cannot be read; the message is the reason, without a name."""
