"""One file to documents: what it is, what reads it, and every fault as a reason, not an error."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from index.documents import Document
from retrieval.sources.items import (
    Blob,
    BombError,
    Notes,
    ReadItems,
    Skipped,
    UnpackBudget,
    UnreadableError,
)
from retrieval.sources.kinds import BESIDE, HEAD, kind_of, reader_of
from retrieval.sources.listing import SourceFile
from retrieval.sources.options import SourceOptions


@contextmanager
def opened(file: SourceFile, alive: Callable[[], None] = lambda: None) -> Iterator[Blob]:
    """Open a file.

    Raises:
        OSError: it is not there any more, or cannot be read.
    """
    with file.path.open("rb") as stream:
        size = file.path.stat().st_size
        yield Blob(file.id, file.called, stream, size, UnpackBudget.of(size, alive))


def is_plain_file(file: SourceFile) -> bool:
    """Tell by its beginning whether a file is read in this process; so is what cannot be opened."""
    try:
        with opened(file) as blob:
            return kind_of(file.id, blob.stream.read(HEAD)) not in BESIDE
    except OSError:
        return True


def read_file(
    file: SourceFile,
    options: SourceOptions,
    notes: Notes,
    alive: Callable[[], None] = lambda: None,
) -> ReadItems:
    """Yield what a file holds; where it cannot be read, the reason."""
    try:
        with opened(file, alive) as blob:
            yield from read_blob(blob, options, notes)
    except OSError as error:
        yield Skipped(file.called, error.strerror or str(error))


def read_blob(blob: Blob, options: SourceOptions, notes: Notes) -> ReadItems:
    """Yield what bytes hold, by their kind; where they cannot be read, the reason.

    Raises:
        BombError: in an archive, which ends there.
    """
    head = blob.stream.read(HEAD)
    blob.stream.seek(0)
    kind = kind_of(blob.called, head)
    if not head and kind in ("text", "markdown", "rst"):
        yield blob.place, Document(blob.id, "", "")
        return
    reader = reader_of(kind) if head else None
    if reader is None:
        reason = f"{kind}, which is not read"
        skipped = Skipped(blob.place, reason, "ignored")
        yield skipped if head else Skipped(blob.place, "it is empty", "empty")
        return
    try:
        something = False
        for item in reader(blob, options, notes):
            something = True
            yield item
        if not something:
            yield Skipped(blob.place, "it holds no documents", "empty")
    except BombError as error:
        if blob.depth:
            raise
        yield Skipped(blob.place, str(error))
    except MemoryError:
        yield Skipped(blob.place, "it takes too much memory")
    except (UnreadableError, OSError) as error:
        yield Skipped(blob.place, _reason(error, blob))
    except Exception as error:  # whatever a damaged file provokes in a library: others are read
        reason = f"damaged: {type(error).__name__}: {_reason(error, blob)}"
        yield Skipped(blob.place, reason)


def _reason(error: Exception, blob: Blob) -> str:
    strerror = error.strerror if isinstance(error, OSError) else None
    text = " ".join((strerror or str(error) or type(error).__name__).split())
    return text.removeprefix(f"{blob.place}: ")[:500]
