"""What the sources of an index have now, and a refusal where one of them seems to be away."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

from embedder.files.lines import shorten
from index.storage.checksums import FileRecord
from index.storage.remembered import are_of_here
from retrieval.sources.ledger import KnownSource, SourceLedger, read_ledger
from retrieval.sources.listing import (
    STDIN,
    FileList,
    ListedFiles,
    SourceFile,
    join_lists,
    list_one,
)
from retrieval.sources.options import OnError, SourceOptions


def read_trusted(
    index: Path, record: FileRecord | None, given: Sequence[KnownSource]
) -> SourceLedger:
    """Return what an index remembers, if it may be followed.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is damaged; or the index came from elsewhere, and one of its sources is not
            given: a stranger's index would say which files of this machine are read.
    """
    ledger = read_ledger(index, record)
    if record is None or are_of_here(index, record):
        return ledger
    unnamed = [one.path for one in ledger.sources if not any(map(one.is_same, given))]
    if unnamed:
        more = f" and {len(unnamed) - 1:,} more" if len(unnamed) > 1 else ""
        raise ValueError(
            f"{index} was copied or made elsewhere, and remembers sources that were not named in "
            f"this place ({shorten(unnamed[0])}{more}): nothing was read; name all of them once, "
            "where they may be read (lastword info shows them)"
        )
    return ledger


def join_sources(
    ledger: SourceLedger, given: Sequence[KnownSource], on_error: OnError | None = None
) -> tuple[tuple[KnownSource, ...], frozenset[int]]:
    """Return the sources from now on, and the numbers of those that are looked at.

    Args:
        ledger: what is remembered.
        given: those that are looked at; remembered ones keep their names, and get the options that
            are given where these are not the usual ones. None of them is all that is remembered.
        on_error: the rule for those that are looked at; None leaves them theirs.

    Raises:
        ValueError: there is no source at all, or one that can be read only once.
    """
    sources, looked_at = list(ledger.sources), set[int]()
    for source in given:
        if source.given == STDIN:
            raise ValueError("standard input cannot be looked at again; give a file or folder")
        number = ledger.number_of(source)
        if number is None:
            number = len(sources)
            sources.append(source)
        elif source.options != SourceOptions():
            sources[number] = replace(sources[number], options=source.options)
        looked_at.add(number)
    if not sources:
        raise ValueError(
            "the index remembers no sources; name the files or folders that it is of, once"
        )
    seen = frozenset(looked_at or range(len(sources)))
    if on_error is not None:
        for number in seen:
            options = replace(sources[number].options, on_error=on_error)
            sources[number] = replace(sources[number], options=options)
    return tuple(sources), seen


def list_sources(
    sources: Sequence[KnownSource],
    looked_at: Collection[int],
    ledger: SourceLedger,
    allow_empty: bool,
) -> FileList:
    """List the files of sources; those that are not looked at have the files that are known.

    Raises:
        OSError: a source cannot be read, or is not there and never was.
        ValueError: a source that had documents is not there or holds nothing, as a disk that is
            not mounted does, and `allow_empty` is not set.
    """
    documents = Counter[int]()
    known: dict[int, list[SourceFile]] = {}
    for file in ledger.files.values():
        documents[file.source] += len(file.documents)
        known.setdefault(file.source, []).append(
            SourceFile(file.id, Path(file.path), source=file.source)
        )
    lists: list[ListedFiles] = []
    for number, source in enumerate(sources):
        if number not in looked_at:
            lists.append((known.get(number, []), []))
            continue
        try:
            listed, reason = list_one(source.path, source.options), "holds no files"
        except (FileNotFoundError, NotADirectoryError, ValueError) as error:
            if number >= len(ledger.sources):
                raise
            listed, reason = ([], []), _reason(error, source)
        if not listed[0] and documents[number] and not allow_empty:
            raise ValueError(
                f"{shorten(source.path)} {reason}, and the index has {documents[number]:,} of its "
                "documents: nothing was changed; if they are to go, --allow-empty (allow_empty in "
                "Python) says so"
            )
        lists.append(listed)
    return join_lists(sources, lists)


def _reason(error: Exception, source: KnownSource) -> str:
    if isinstance(error, OSError):
        return "is not there"
    return str(error).removeprefix(source.path).strip()
