"""What makes files last: flushing, checksums, and replacement in one step."""

import errno
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

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
        digest = hashlib.blake2b(digest_size=32)
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
        return FileRecord(path.stat().st_size, digest.hexdigest())

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


def flush(path: Path) -> None:
    """Have the disk keep a file's contents, or a folder's list of names."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def flush_tree(folder: Path) -> dict[str, FileRecord]:
    """Flush everything under a folder; return the record of each file by its relative path."""
    records: dict[str, FileRecord] = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            records[path.relative_to(folder).as_posix()] = FileRecord.of(path)
        flush(path)
    flush(folder)
    return records


def replace_file(path: Path, data: bytes) -> None:
    """Write a file so that it is, at every moment and after every crash, the old or the new."""
    partial = path.with_name(path.name + ".partial")
    try:
        with partial.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    flush(path.parent)


def is_inside(name: str) -> bool:
    """Tell whether a relative path from a manifest stays in its folder."""
    path = PurePosixPath(name)
    return bool(name) and not path.is_absolute() and ".." not in path.parts
