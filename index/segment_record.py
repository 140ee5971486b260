"""What the manifest says of a segment: counts, and the files that it must have."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from index.storage.checksums import FileRecord, is_inside
from index.storage.layout import APPROXIMATE, CHANNEL, TOMBSTONE, Form, may_have, required_files

_DIGEST = re.compile(r"[0-9a-f]{64}")
_MOST = 2**31  # passages, rows


@dataclass(frozen=True, slots=True)
class SegmentRecord:
    """What a segment's folder must hold.

    Attributes:
        name: the folder's name.
        documents: documents held, deleted ones included.
        passages: texts that were encoded, at least one per document.
        rows: channel -> rows held.
        deleted: number of documents deleted.
        tombstone: file with their ordinals, None while there are none.
        files: relative path -> what the file must be.
    """

    name: str
    documents: int
    passages: int
    rows: Mapping[str, int]
    files: Mapping[str, FileRecord]
    deleted: int = 0
    tombstone: str | None = None

    def __post_init__(self) -> None:
        if not CHANNEL.fullmatch(self.name) or not all(map(is_inside, self.files)):
            raise ValueError(f"segment {self.name!r} names files outside the index")
        if not all(0 <= number < _MOST for number in (self.passages, *self.rows.values())):
            raise ValueError(f"segment {self.name!r} cannot have so many passages or rows")
        if not 0 <= self.deleted <= self.documents <= self.passages:
            raise ValueError(
                f"segment {self.name!r} cannot have {self.passages} passages of {self.documents} "
                f"documents, {self.deleted} of them deleted"
            )
        if (self.tombstone is None) != (self.deleted == 0):
            raise ValueError(f"segment {self.name!r}: a tombstone goes with deleted documents")

    def searched_exactly(self, channel: str) -> bool:
        """Tell whether a dense channel has no FAISS file: it is Flat, or too small to train on."""
        return f"{channel}/{APPROXIMATE}" not in self.files

    def check_files(self, channels: Mapping[str, Form]) -> None:
        """Refuse a record that names other files than a segment with these channels has.

        Raises:
            ValueError: a file is missing, or should not be there.
        """
        required = required_files(channels)
        allowed = required | {name for name in self.files if may_have(channels, name)}
        if self.tombstone is not None:
            if not TOMBSTONE.fullmatch(self.tombstone):
                raise ValueError(f"segment {self.name!r}: {self.tombstone!r} is no tombstone")
            required, allowed = required | {self.tombstone}, allowed | {self.tombstone}
        for name in sorted(required - self.files.keys()) + sorted(self.files.keys() - allowed):
            wrong = "lacks" if name in required else "cannot have"
            raise ValueError(f"segment {self.name!r} {wrong} file {name!r}")
        for name, record in self.files.items():
            if record.bytes < 0 or not _DIGEST.fullmatch(record.digest):
                raise ValueError(f"segment {self.name!r}: no file is as {name!r} is said to be")

    @property
    def live(self) -> int:
        """Number of documents that are not deleted."""
        return self.documents - self.deleted
