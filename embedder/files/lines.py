"""Lines of text files that other programs wrote: decoded, without marks, each with its place.

Documents, queries, judgements, runs and training pairs are all read through here, so that a mark,
a line ending or an encoding means the same in each of them.
"""

import codecs
import gzip
import lzma
import math
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

LONGEST_LINE = 1 << 28
"""Bytes of the longest line that is read: a file without line ends must not fill memory."""

PACKED: Mapping[str, Callable[[BinaryIO], Any]] = {".gz": gzip.open, ".xz": lzma.open}
"""Suffix -> what unpacks such a file."""

_UNPACKING = (EOFError, lzma.LZMAError, zlib.error, gzip.BadGzipFile)
_MARKS = {b"\x1f\x8b": ".gz", b"\xfd7zXZ": ".xz", b"BZh": ".bz2", b"\x28\xb5\x2f\xfd": ".zst"}
_WIDE = {
    codecs.BOM_UTF32_LE: "UTF-32",  # begins like UTF-16's mark, and so comes first
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}
_OFTEN = 500  # lines between two movements of a progress bar
_PIPES = ("/dev/fd/", "/proc/self/fd/")  # what a shell's <(command) is called


def read_lines(
    path: Path, progress: Callable[[int], None] = lambda done: None
) -> Iterator[tuple[str, str]]:
    """Yield (place, line) of a UTF-8 file, which is unpacked if its name ends in .gz or .xz.

    Lines end with LF or CRLF, which are taken off; a byte-order mark at the start of a line is
    taken off too, since files are often put one behind another. Blank lines are left out, and
    counted. A place is "FILE:LINE", for error messages.

    Args:
        path: of the file.
        progress: called now and then with the number of bytes read so far, as they lie on disk.

    Raises:
        OSError: there is no such file, it is a folder, or it cannot be read.
        ValueError: it is packed and damaged, or a line is no UTF-8 text, holds a NUL or a carriage
            return, or is longer than LONGEST_LINE.
    """
    with _opened(path) as (file, plain):
        for number, raw in enumerate(raw_lines(file, path), start=1):
            if number % _OFTEN == 0:
                progress(plain.tell())
            place = f"{path}:{number}"
            line = decode_line(raw, place)
            if line.strip():
                yield place, line


def decode_line(raw: bytes, place: str) -> str:
    """Return the text of a line of UTF-8 without its end and without a byte-order mark.

    Raises:
        ValueError: as `read_lines`.
    """
    text = decode_text(raw.rstrip(b"\r\n"), place)
    if "\r" in text:
        raise ValueError(
            f"{place}: a carriage return stands inside the line; lines end with LF or CRLF"
        )
    return text


def decode_text(raw: bytes, place: str) -> str:
    """Return UTF-8 text without a byte-order mark; other encodings are named, never guessed.

    Raises:
        ValueError: it is no UTF-8 text, or holds a NUL.
    """
    try:
        text = raw.decode().lstrip("\ufeff")
    except UnicodeDecodeError as error:
        reason = _other_format(raw) or _undecodable(raw, error)
        raise ValueError(f"{place}: expected UTF-8 text; {reason}") from error
    if "\0" in text:
        reason = _other_format(raw) or (
            "it holds NUL bytes, as binary files do, and UTF-16 text without a mark: "
            + _convert("UTF-16")
        )
        raise ValueError(f"{place}: expected UTF-8 text; {reason}")
    return text


@contextmanager
def open_binary(path: Path) -> Iterator[BinaryIO]:
    """Open a file for reading, unpacked if its name ends in .gz or .xz.

    Raises:
        OSError: there is no such file, it is a folder, or it cannot be read.
        ValueError: it is no file of bytes, such as a device, or while it is read: it is damaged.
    """
    with _opened(path) as (file, _):
        yield file


@contextmanager
def _opened(path: Path) -> Iterator[tuple[BinaryIO, BinaryIO]]:
    """Open a file; return it unpacked, and as it lies on disk."""
    refuse_special(path)
    with path.open("rb") as plain:
        if path.suffix not in PACKED:
            yield plain, plain
            return
        try:
            with PACKED[path.suffix](plain) as unpacked:
                yield unpacked, plain
        except _UNPACKING as error:
            raise ValueError(
                f"{path} is damaged, incomplete or no {path.suffix} file ({error}); fetch it again"
            ) from error


def refuse_special(path: Path, pipes: bool = True) -> None:
    """Refuse what never ends or is waited for.

    Args:
        path: of a file.
        pipes: let a shell's <(command) through, which can be read once, from its beginning.

    Raises:
        FileNotFoundError: there is nothing.
        ValueError: it is a device, a pipe or a socket.
    """
    if not (path.is_file() or path.is_dir() or (pipes and _is_pipe(path))) and path.stat():
        raise ValueError(f"{path}: expected a file; it is a device, a pipe or a socket")


def read_number(text: str) -> float:
    """Read a number as files have them: ASCII digits, perhaps a point and an exponent, or inf.

    Raises:
        ValueError: it is none; NaN, and what only Python takes for a number ("1_000"), are none.
    """
    number = float(text) if text.isascii() and "_" not in text else math.nan
    if number != number:
        raise ValueError(f"expected a number; got {shorten(text)}")
    return number


def shorten(value: object, limit: int = 80) -> str:
    """Return the repr of a value, cut where it is long, for error messages."""
    text = repr(value)
    return text if len(text) <= limit else f"{text[:limit]}..."


def raw_lines(file: BinaryIO, path: Path) -> Iterator[bytes]:
    """Yield the lines of an open file with their ends.

    Raises:
        ValueError: one is longer than LONGEST_LINE.
    """
    number = 0
    while line := file.readline(LONGEST_LINE + 1):
        number += 1
        if len(line) > LONGEST_LINE:
            raise ValueError(
                f"{path}:{number}: the line is longer than {LONGEST_LINE >> 20} MiB; "
                "is it a text file with line ends?"
            )
        yield line


def _is_pipe(path: Path) -> bool:
    return str(path).startswith(_PIPES) or str(path) == "/dev/stdin"


def _other_format(raw: bytes) -> str:
    """Say which format bytes begin as; "" where they are of none that is known."""
    for mark, name in _WIDE.items():
        if raw.startswith(mark):
            return f"this is {name}: {_convert(name)}"
    for mark, suffix in _MARKS.items():
        if raw.startswith(mark):
            advice = f"name it ...{suffix}" if suffix in PACKED else "unpack it first"
            return f"this is a packed {suffix} file: {advice}"
    return ""


def _undecodable(raw: bytes, error: UnicodeDecodeError) -> str:
    before = raw[: error.start].decode().lstrip("\ufeff")
    line = f"line {before.count(chr(10)) + 1}, " if "\n" in before else ""
    character = len(before.rpartition("\n")[2]) + 1
    return (
        f"{line}character {character} is the byte 0x{raw[error.start]:02x}, as in Latin-1 or "
        f"Windows-1252: {_convert('WINDOWS-1252')}"
    )


def _convert(name: str) -> str:
    return f"convert it, e.g. iconv -f {name} -t UTF-8"
