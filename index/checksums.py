"""What the files of an index must be: sizes and checksums."""

import errno
import hashlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from embedder.durable import flush

_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class FileRecord:
    """What a file must be.

    Attributes:
        bytes: its size.
        digest: BLAKE2b of its contents, 32 bytes in hexadecimal.
    """

    bytes: int
    digest: str

    @staticmethod
    def of(path: Path) -> "FileRecord":
        """Read a file and record it."""
        with path.open("rb") as file:
            digest = digest_of(file)
        return FileRecord(path.stat().st_size, digest)

    def check_size(self, path: Path) -> None:
        """Notice a missing or truncated file without reading it.

        Raises:
            FileNotFoundError: there is none.
            ValueError: it has another size.
        """
        if not path.is_file():
            raise FileNotFoundError(errno.ENOENT, "file of the index is missing", str(path))
        size = path.stat().st_size
        if size != self.bytes:
            raise ValueError(
                f"{path} is damaged: expected {self.bytes} bytes, got {size}; "
                "restore it from a backup or build the index again"
            )


def digest_of(file: BinaryIO) -> str:
    """Read an open file to its end; return its BLAKE2b, 32 bytes in hexadecimal."""
    digest = hashlib.blake2b(digest_size=32)
    while block := file.read(_BLOCK):
        digest.update(block)
    return digest.hexdigest()


def flush_tree(folder: Path) -> dict[str, FileRecord]:
    """Flush everything under a folder; return the record of each file by its relative path."""
    records: dict[str, FileRecord] = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            records[path.relative_to(folder).as_posix()] = FileRecord.of(path)
        flush(path)
    flush(folder)
    return records


def is_inside(name: str) -> bool:
    """Tell whether a relative path from a manifest stays in its folder."""
    path = PurePosixPath(name)
    return bool(name) and not path.is_absolute() and ".." not in path.parts
