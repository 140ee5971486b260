"""Archives and packed files: members are files of their own, read in memory, within a budget.

Nothing is written under a member's name, so a path that climbs out leads nowhere; it is refused
all the same, since it is no id either.
"""

import bz2
import gzip
import lzma
import re
import stat
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import replace
from typing import Any, BinaryIO, cast

from retrieval.sources.items import (
    Blob,
    BombError,
    Notes,
    ReadItems,
    SkipKind,
    Skipped,
    UnreadableError,
)
from retrieval.sources.kinds import HEAD, LONG, PACKED_MARKS, kind_of, without_packing
from retrieval.sources.options import SourceOptions
from retrieval.sources.reading import read_blob
from retrieval.sources.walking import NEVER, REASONS, Patterns
from retrieval.sources.zipped import open_zip, read_member

DEEPEST = 3  # archives within each other
_PART = 1 << 20
_IN_MEMORY = 1 << 24  # bytes of an unpacked file that stay in memory
_ABSOLUTE = re.compile(r"/|[A-Za-z]:")
_SLICE = 1 << 10  # packed bytes of .zst that are unpacked at once: to 32,000 times as many at most
_WINDOW = 1 << 27  # bytes of memory that a .zst file may ask for
_DAMAGED = (EOFError, OSError, lzma.LZMAError, zlib.error, tarfile.TarError)


def read_zip(blob: Blob, options: SourceOptions, notes: Notes) -> ReadItems:
    """Read the members of a zip file, by name.

    Raises:
        UnreadableError: it is no zip file, or lies too deep in others.
    """
    _check_depth(blob)
    wanted = _Wanted(blob.id, options)
    with open_zip(blob) as archive:
        for info in sorted(archive.infolist(), key=lambda info: info.filename):
            blob.budget.spend(0, members=1)
            if info.is_dir():
                continue
            name = _with_slashes(info.filename)
            link = stat.S_ISLNK(info.external_attr >> 16)
            kind = "links" if link else wanted.fault(name)
            if kind:
                yield _skipped(blob, name, kind)
                continue
            try:
                data = read_member(archive, info, blob, options)
            except BombError:
                raise
            except UnreadableError as error:
                yield Skipped(f"{blob.place}/{name}", str(error))
                continue
            yield from read_blob(blob.inside(name, data), options, notes)


def read_tar(blob: Blob, options: SourceOptions, notes: Notes) -> ReadItems:
    """Read the members of a tar file, in their order.

    Raises:
        UnreadableError: it is no tar file, is damaged, or lies too deep in others.
    """
    _check_depth(blob)
    wanted = _Wanted(blob.id, options)
    try:
        with tarfile.open(fileobj=blob.stream, mode="r:") as archive:
            while (member := archive.next()) is not None:
                vars(archive)["members"] = []  # else it keeps them all
                blob.budget.spend(0, members=1)
                if member.isdir():
                    continue
                kind = wanted.fault(member.name) if member.isreg() else "links"
                if kind:
                    yield _skipped(blob, member.name, kind)
                elif member.size > options.max_bytes:
                    reason = f"it is longer than {options.max_megabytes} MB"
                    yield Skipped(f"{blob.place}/{member.name}", reason)
                else:
                    blob.budget.spend(member.size)
                    file = archive.extractfile(member)
                    data = file.read(options.max_bytes) if file else b""
                    yield from read_blob(blob.inside(member.name, data), options, notes)
    except _DAMAGED as error:
        raise UnreadableError(f"no tar archive, or a damaged one: {error}") from error


def read_packed(blob: Blob, options: SourceOptions, notes: Notes) -> ReadItems:
    """Read what a .gz, .bz2, .xz or .zst file holds, in its place and under its name.

    Raises:
        UnreadableError: it is damaged, a bomb, or lies too deep in others.
    """
    _check_depth(blob)
    head = blob.stream.read(8)
    blob.stream.seek(0)
    suffix = next(kind for mark, kind in PACKED_MARKS.items() if head.startswith(mark))
    long = False  # whether it may be longer than a document
    with tempfile.SpooledTemporaryFile(_IN_MEMORY) as unpacked:
        try:
            with _UNPACK[suffix](blob.stream) as stream:
                while part := stream.read(_PART):
                    if not unpacked.tell():
                        long = kind_of(without_packing(blob.called), part[:HEAD]) in LONG
                    blob.budget.spend(len(part))
                    unpacked.write(part)
                    if not long and unpacked.tell() > options.max_bytes:
                        raise UnreadableError(f"it unpacks to more than {options.max_megabytes} MB")
        except _DAMAGED as error:
            raise UnreadableError(f"no .{suffix} file, or a damaged one: {error}") from error
        size = unpacked.tell()
        unpacked.seek(0)
        inner = replace(
            blob,
            stream=cast(BinaryIO, unpacked),
            size=size,
            name=without_packing(blob.called),
            depth=blob.depth + 1,
        )
        yield from read_blob(inner, options, notes)


class _Wanted:
    """Which members are read, as files of a folder are."""

    def __init__(self, archive: str, options: SourceOptions) -> None:
        self._archive = archive
        self._hidden = options.hidden
        self._patterns = Patterns(options)

    def fault(self, name: str) -> SkipKind | None:
        """Return why a member is not read; None where it is."""
        parts = name.split("/")
        if ".." in parts or _ABSOLUTE.match(name) or "\0" in name or not _legal(name):
            return "unreadable"
        parts = [part for part in parts if part != "."]
        if any(part in (*NEVER, "__MACOSX") for part in parts):
            return "hidden"
        if not self._hidden and any(part.startswith(".") for part in parts):
            return "hidden"
        inside = "/".join((self._archive, *parts))
        wanted = not self._patterns.leave_out_file(inside)
        return None if wanted else "patterns"


def _with_slashes(name: str) -> str:
    """Return a name as the format has it; some programs of Windows write backslashes."""
    return name.replace("\\", "/")


def _legal(name: str) -> bool:
    try:
        return bool(name.encode())
    except UnicodeEncodeError:
        return False


def _skipped(blob: Blob, name: str, kind: SkipKind) -> Skipped:
    reason = "its path leads out of the archive, or is no text"
    reason = reason if kind == "unreadable" else REASONS[kind]
    shown = name.encode("utf-8", "backslashreplace").decode()
    return Skipped(f"{blob.place}/{shown}", reason, kind)


def _check_depth(blob: Blob) -> None:
    if blob.depth > DEEPEST:
        raise UnreadableError(f"it is an archive within more than {DEEPEST} others")


def _open_zst(stream: BinaryIO) -> Any:  # noqa: ANN401  (a context)
    try:
        import zstandard
    except ImportError as error:
        raise UnreadableError(".zst needs a package: pip install zstandard") from error
    return nullcontext(_ZstFrames(stream, zstandard))


class _ZstFrames:
    """The frames of a .zst file, one behind another, with errors as of a file."""

    def __init__(self, stream: BinaryIO, zstandard: Any) -> None:  # noqa: ANN401  (a module)
        self._stream = stream
        self._library = zstandard
        self._frame: Any = None
        self._left = b""

    def read(self, size: int) -> bytes:
        """Return the next bytes, perhaps more or fewer than asked for; none at the end.

        Raises:
            OSError: the file is damaged, or ends within a frame.
        """
        while True:
            packed = self._left or self._stream.read(_SLICE)
            if not packed:
                if self._frame is not None and not self._frame.eof:
                    raise OSError("it ends within a frame")
                return b""
            if self._frame is None or self._frame.eof:
                self._frame = self._library.ZstdDecompressor(
                    max_window_size=_WINDOW
                ).decompressobj()
            try:
                part: bytes = self._frame.decompress(packed)
            except self._library.ZstdError as error:
                raise OSError(str(error)) from error
            self._left = self._frame.unused_data if self._frame.eof else b""
            if part:
                return part


_UNPACK: Mapping[str, Callable[[BinaryIO], Any]] = {
    "gz": lambda stream: gzip.GzipFile(fileobj=stream),
    "bz2": bz2.BZ2File,
    "xz": lambda stream: lzma.LZMAFile(stream),
    "zst": _open_zst,
}
