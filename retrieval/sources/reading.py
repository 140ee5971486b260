"""One file to documents: what it is, what reads it, and every fault as a reason, not an error."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from index.documents import Document
from retrieval.sources.items import Blob, Item, Notes, ReadItems, Skipped, UnreadableError
from retrieval.sources.kinds import HEAD, PLAIN, kind_of, reader_of
from retrieval.sources.listing import SourceFile
from retrieval.sources.options import SourceOptions


@contextmanager
def opened(file: SourceFile) -> Iterator[Blob]:
    """Open a file.

    Raises:
        OSError: it is not there any more, or cannot be read.
    """
    with file.path.open("rb") as stream:
        yield Blob(file.id, str(file.path), stream, file.path.stat().st_size)


def is_plain_file(file: SourceFile) -> bool:
    """Tell by its beginning whether a file is read in this process; so is what cannot be opened."""
    try:
        with opened(file) as blob:
            return kind_of(file.id, blob.stream.read(HEAD)) in PLAIN
    except OSError:
        return True


def read_file(file: SourceFile, options: SourceOptions, notes: Notes) -> ReadItems:
    """Yield what a file holds; where it cannot be read, the reason."""
    try:
        with opened(file) as blob:
            yield from read_blob(blob, options, notes)
    except OSError as error:
        yield Skipped(str(file.path), error.strerror or str(error))


def read_blob(blob: Blob, options: SourceOptions, notes: Notes) -> Iterator[Item]:
    """Yield what bytes hold, by their kind; where they cannot be read, the reason."""
    head = blob.stream.read(HEAD)
    blob.stream.seek(0)
    kind = kind_of(blob.id, head)
    if not head:
        if kind in ("text", "markdown", "rst"):
            yield blob.place, Document(blob.id, "", "")
        else:
            yield _skipped(blob, Skipped(blob.place, "it is empty", "empty"))
        return
    reader = reader_of(kind)
    if reader is None:
        reason = kind if " " in kind else f"a .{kind} file"
        yield _skipped(blob, Skipped(blob.place, f"{reason}, which is not read", "ignored"))
        return
    try:
        for item in reader(blob, options, notes):
            yield _skipped(blob, item) if isinstance(item, Skipped) else item
    except OSError as error:
        yield _skipped(blob, Skipped(blob.place, error.strerror or str(error)))
    except MemoryError:
        yield _skipped(blob, Skipped(blob.place, "it takes too much memory"))
    except (UnreadableError, ValueError, RecursionError, ArithmeticError, LookupError) as error:
        reason = " ".join(str(error).split()).removeprefix(f"{blob.place}: ")
        yield _skipped(blob, Skipped(blob.place, reason or type(error).__name__))


def _skipped(blob: Blob, skipped: Skipped) -> Skipped:
    return replace(skipped, inner=True) if blob.depth else skipped
