"""Members of zip files and what XML in them says, within limits."""

import lzma
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from xml.etree.ElementTree import Element, ParseError, fromstring

from retrieval.sources.items import Blob, UnreadableError
from retrieval.sources.options import SourceOptions

_SMALL = 10_000_000  # bytes that a member may unpack to from however few
ZIP_ERRORS = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError),
    *(NotImplementedError, RuntimeError, ValueError, OverflowError),
)
"""What zipfile raises where an archive is damaged, encrypted or packed in an unusual way."""


@contextmanager
def open_zip(blob: Blob) -> Iterator[zipfile.ZipFile]:
    """Open a zip file.

    Raises:
        UnreadableError: it is none, or damaged.
    """
    try:
        archive = zipfile.ZipFile(blob.stream)
    except ZIP_ERRORS as error:
        raise UnreadableError(f"no zip file, or a damaged one: {error}") from error
    with archive:
        yield archive


def read_member(
    archive: zipfile.ZipFile, name: str | zipfile.ZipInfo, blob: Blob, options: SourceOptions
) -> bytes:
    """Unpack a member, counted against the budget of the file around it.

    Raises:
        UnreadableError: there is none, it is longer than a file may be, encrypted or damaged.
    """
    try:
        info = name if isinstance(name, zipfile.ZipInfo) else archive.getinfo(name)
    except KeyError as error:
        raise UnreadableError(f"it lacks {name}") from error
    if info.flag_bits & 1:
        raise UnreadableError("it is protected by a password")
    if info.file_size > options.max_bytes:
        raise UnreadableError(
            f"it is longer than {options.max_megabytes} MB (--max-file-mb allows more)"
        )
    if info.file_size > _SMALL and info.file_size > 100 * info.compress_size:
        raise UnreadableError("it unpacks to more than 100 times its size")
    try:
        with archive.open(info) as member:
            data = member.read(options.max_bytes + 1)
    except UnreadableError:
        raise
    except ZIP_ERRORS as error:
        raise UnreadableError(f"damaged: {error}") from error
    if len(data) > options.max_bytes:
        raise UnreadableError(f"it is longer than {options.max_megabytes} MB")
    blob.budget.spend(len(data))
    return data


def parse_xml(data: bytes, name: str) -> Element:
    """Parse XML of a document format, none of which declares entities: a bomb does.

    Raises:
        UnreadableError: it is no XML, or declares entities.
    """
    if b"<!ENTITY" in data.replace(b"\0", b""):  # of two bytes a character, too
        raise UnreadableError(f"{name} declares entities")
    try:
        return fromstring(data)
    except (ParseError, ValueError, LookupError) as error:
        raise UnreadableError(f"{name} is no XML: {error}") from error
