"""What the files of an index must be: regular, of their sizes, with their checksums."""

import errno
import hashlib
import os
import stat
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from threading import Lock
from typing import BinaryIO

from embedder.files.durable import flush
from embedder.files.identity import identity_of

_BLOCK = 1 << 20
_SETTLED = 2.0  # seconds after which a file that is written again has another time stamp for sure
_REMEMBERED = 10_000
_sound: dict[object, None] = {}
_lock = Lock()

CURE = "restore it from a backup or build the index again"


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
        with open_own(path) as file:
            digest = digest_of(file)
            return FileRecord(os.fstat(file.fileno()).st_size, digest)

    def check_size(self, path: Path) -> None:
        """Notice a missing, foreign or truncated file without reading it.

        Raises:
            FileNotFoundError: there is none.
            ValueError: it is a link or no regular file, or it has another size.
        """
        try:
            facts = path.lstat()
        except FileNotFoundError:
            raise FileNotFoundError(
                errno.ENOENT, "file of the index is missing", str(path)
            ) from None
        _check_regular(facts, path)
        if facts.st_size != self.bytes:
            raise ValueError(
                f"{path} is damaged: expected {self.bytes} bytes, got {facts.st_size}; {CURE}"
            )

    def check(self, path: Path, anew: bool = False) -> None:
        """Read a file and compare it with its checksum.

        Args:
            path: of the file.
            anew: also where this process did so before and nobody wrote to it since.

        Raises:
            FileNotFoundError: there is none.
            OSError: it cannot be read, which says nothing about damage.
            ValueError: it is damaged, a link, or no regular file.
        """
        self.check_size(path)
        with open_own(path) as file:
            self.check_open(file, path, anew)

    def check_open(self, file: BinaryIO, path: Path, anew: bool = False) -> None:
        """Compare an open file with its checksum, and go to its start."""
        file.seek(0)
        key = (self.digest, *identity_of(os.fstat(file.fileno())))
        if key in _sound and not anew:
            return
        digest = digest_of(file)
        if digest != self.digest:
            raise ValueError(
                f"{path} is damaged: expected checksum {self.digest}, got {digest}; {CURE}"
            )
        file.seek(0)
        remember(key, os.fstat(file.fileno()))


def open_own(path: Path) -> BinaryIO:
    """Open a file of an index for reading.

    Raises:
        OSError: it is missing or cannot be read.
        ValueError: it is a link or no regular file.
    """
    _check_regular(path.lstat(), path)
    # Neither waits for a pipe that came in between, nor follows a link that did.
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    return os.fdopen(handle, "rb")


def digest_of(file: BinaryIO) -> str:
    """Read an open file to its end; return its BLAKE2b, 32 bytes in hexadecimal."""
    digest = hashlib.blake2b(digest_size=32)
    while block := file.read(_BLOCK):
        digest.update(block)
    return digest.hexdigest()


def key_of(folder: Path, files: Mapping[str, FileRecord]) -> tuple[object, ...]:
    """Return what tells these files, as they are on disk now, from any others.

    Raises:
        OSError: a file is missing.
    """
    return tuple(
        (name, record.digest, *identity_of((folder / name).lstat()))
        for name, record in sorted(files.items())
    )


def is_remembered(key: object) -> bool:
    """Tell whether this process has found sound what has this key."""
    return key in _sound


def remember(key: object, *files: os.stat_result) -> None:
    """Remember that something was found sound, unless one of its files is too new to be sure.

    A file that changes twice within a tick of the clock may have one time stamp for both.
    """
    newest = max((max(facts.st_ctime, facts.st_mtime) for facts in files), default=0.0)
    if newest < time.time() - _SETTLED:
        with _lock:
            _sound[key] = None
            while len(_sound) > _REMEMBERED:
                del _sound[next(iter(_sound))]


def flush_file(path: Path) -> FileRecord:
    """Flush a file; return its record."""
    record = FileRecord.of(path)
    flush(path)
    return record


def flush_tree(folder: Path, flushed: Mapping[str, FileRecord]) -> dict[str, FileRecord]:
    """Flush everything under a folder; return the record of each file by its relative path.

    Args:
        folder: is flushed too.
        flushed: records of files that are flushed already.
    """
    records: dict[str, FileRecord] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file():
            records[name] = flushed.get(name) or flush_file(path)
        else:
            flush(path)
    flush(folder)
    return records


def check_folder(path: Path) -> None:
    """Refuse a folder of an index that is a link, or no folder; a missing one is legal.

    Raises:
        ValueError: see above.
    """
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if stat.S_ISLNK(mode):
        raise ValueError(_link(path))
    if not stat.S_ISDIR(mode):
        raise ValueError(f"{path} is no folder, and an index has one there; {CURE}")


def is_inside(name: str) -> bool:
    """Tell whether a relative path from a manifest stays in its folder."""
    path = PurePosixPath(name)
    return bool(name) and not path.is_absolute() and ".." not in path.parts


def _check_regular(facts: os.stat_result, path: Path) -> None:
    if stat.S_ISLNK(facts.st_mode):
        raise ValueError(_link(path))
    if not stat.S_ISREG(facts.st_mode):
        raise ValueError(f"{path} is no regular file; {CURE}")


def _link(path: Path) -> str:
    return (
        f"{path} is a link; an index consists of its own files and folders only: put the real one "
        "there, or move the whole index and link to that"
    )
