"""What reading gives: documents with their places, what was skipped, and remarks."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, Literal

from index.documents import Document

SkipKind = Literal[
    "ignored",
    "broken",
    "repeated",
    "links",
    "hidden",
    "rules",
    "patterns",
    "index",
    "empty",
    "unreadable",
]
SKIPPED: Mapping[SkipKind, tuple[str, str, str]] = {
    "ignored": ("file", "files", "of other kinds"),
    "broken": ("link", "links", "to nothing"),
    "repeated": ("link", "links", "to what is read under another name"),
    "links": ("link", "links", "as asked"),
    "hidden": ("hidden name", "hidden names", "(--hidden reads them)"),
    "rules": ("name", "names", "that ignore files list (--no-ignore reads them)"),
    "patterns": ("name", "names", "by --include or --exclude"),
    "index": ("folder", "folders", "that are indexes of lastword"),
    "empty": ("text", "texts", "without words"),
    "unreadable": ("text", "texts", "that could not be read"),
}
"""Kind -> one, several, and what follows, for "skipped 3 links to nothing"."""
FAULTS = ("empty", "unreadable")
"""Kinds that are faults of the file, and stop the work where that is asked for."""

NoteKind = Literal["encoding", "controls", "fields", "numbered", "renamed", "header", "cells"]
NOTES: Mapping[str, str] = {
    "encoding": "not in UTF-8, the encoding guessed",
    "controls": "control characters dropped",
    "fields": "records without a field called text, all that hold text taken (--text names one)",
    "numbered": "records without an id, numbered",
    "renamed": "ids that came before, written FILE#ID",
    "header": "headers that could not be read, left in the text",
    "cells": "rows with too many or too few cells",
}


@dataclass(frozen=True, slots=True)
class Skipped:
    """Something that is not read, by name and reason.

    Attributes:
        name: the id that it would have, or the path; with a line where it is a record.
        reason: in a few words.
        kind: see SKIPPED.
    """

    name: str
    reason: str
    kind: SkipKind = "unreadable"


class UnreadableError(ValueError):
    """What a file or record holds cannot be read; the message is the reason, without a name."""


class BombError(UnreadableError):
    """A file unpacks to so much that nothing more of it is read."""


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
        """Write a line a kind: what, how many, and an example."""
        return [
            f"{NOTES[kind]}: {count:,}, e.g. in {self.names[kind][0]}"
            for kind in NOTES
            if (count := self.counts[kind])
        ]


@dataclass(slots=True)
class UnpackBudget:
    """How much may be unpacked of one file, archives within archives included.

    Attributes:
        left: bytes.
        members: files.
        alive: called now and then while something is unpacked, so that this is not taken for
            standing still.
    """

    left: int
    members: int = 200_000
    alive: Callable[[], None] = lambda: None

    @staticmethod
    def of(size: int, alive: Callable[[], None] = lambda: None) -> "UnpackBudget":
        """Return what a file of that size may unpack to: text shrinks to a hundredth at best."""
        return UnpackBudget(max(1 << 28, 100 * size), alive=alive)

    def spend(self, size: int, members: int = 0) -> None:
        """Take off what was unpacked.

        Raises:
            BombError: it is more than is left.
        """
        self.left -= size
        self.members -= members
        if self.left < 0:
            raise BombError("it unpacks to more than 100 times its size: the rest is not read")
        if self.members < 0:
            raise BombError("it holds more than 200,000 files: the rest is not read")
        self.alive()


@dataclass(frozen=True, slots=True)
class Blob:
    """A file, or a member of an archive, that is read once.

    Attributes:
        id: of the document that it is; of several, what their ids begin with.
        place: what errors call it.
        stream: its bytes, from the beginning; seekable.
        size: number of bytes, or -1 where it is not known before they are unpacked.
        budget: for what is unpacked of it.
        depth: number of archives around it.
        name: by which its kind is known, if not the id.
    """

    id: str
    place: str
    stream: BinaryIO
    size: int
    budget: UnpackBudget
    depth: int = 0
    name: str = ""

    @property
    def called(self) -> str:
        """The name by which its kind is known."""
        return self.name or self.id

    @property
    def suffix(self) -> str:
        """The last suffix, in lower case."""
        return Path(self.called).suffix.lower()

    def inside(self, name: str, data: bytes) -> "Blob":
        """Return a member; its id and place are paths through the archive."""
        return Blob(
            f"{self.id}/{name}",
            f"{self.place}/{name}",
            BytesIO(data),
            len(data),
            self.budget,
            self.depth + 1,
        )
