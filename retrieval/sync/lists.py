"""What the sources of an index have now, and a refusal where one of them seems to be away."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
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
from retrieval.sync.options import SyncOptions


@dataclass(frozen=True, slots=True)
class ChosenSources:
    """Which sources an index follows from now on.

    Attributes:
        ledger: what it remembers of them.
        sources: those of the ledger, and new ones behind them.
        looked_at: numbers of those whose files are looked at now.
        forgotten: sources that it does not follow any more, each with the number of its documents.
        dropped: ids of documents that go with those.
    """

    ledger: SourceLedger
    sources: tuple[KnownSource, ...]
    looked_at: frozenset[int]
    forgotten: tuple[tuple[str, int], ...] = ()
    dropped: tuple[str, ...] = ()


def choose_sources(
    index: Path, record: FileRecord | None, given: Sequence[KnownSource], options: SyncOptions
) -> ChosenSources:
    """Return the sources from now on, and which of them are looked at.

    Args:
        index: folder of the index.
        record: of what it remembers.
        given: those that are looked at; remembered ones keep their names, and get the options that
            are given where these are not the usual ones, or where the index came from elsewhere.
            None of them is all that is remembered, or nothing where a source is forgotten.
        options: of the sync.

    Raises:
        OSError: what is remembered cannot be read.
        ValueError: it is damaged; there is no source at all, one that can be read only once, or
            one to be forgotten that is not remembered; or the index came from elsewhere, and one
            of its sources is not named: a stranger's index would say which files of this machine
            are read.
    """
    ledger = read_ledger(index, record)
    forgotten = _numbers_of(ledger, options.forget)
    kept = ledger.without(forgotten)
    own = record is None or are_of_here(index, record)
    if not own:
        _refuse_unnamed(kept.sources, given, index)
    counts = Counter[int]()
    for file in ledger.files.values():
        counts[file.source] += len(file.documents)
    gone = (file for file in ledger.files.values() if file.source in forgotten)
    chosen = ChosenSources(
        kept,
        kept.sources,
        frozenset(),
        tuple((ledger.sources[number].path, counts[number]) for number in forgotten),
        tuple(name for file in gone for name in file.ids) if options.remove else (),
    )
    return _join_sources(chosen, given, options.on_error, own)


def _numbers_of(ledger: SourceLedger, forget: Sequence[str]) -> list[int]:
    """Return the numbers of sources that are to be forgotten."""
    numbers = {source: ledger.number_of(KnownSource.of(source)) for source in forget}
    unknown = next((source for source, number in numbers.items() if number is None), None)
    if unknown is not None:
        known = ", ".join(shorten(one.path) for one in ledger.sources[:5])
        raise ValueError(
            f"{shorten(unknown)} is no source of the index; it remembers {known or 'none'}"
        )
    return sorted({number for number in numbers.values() if number is not None})


def _refuse_unnamed(
    sources: Sequence[KnownSource], given: Sequence[KnownSource], index: Path
) -> None:
    unnamed = [one.path for one in sources if not any(map(one.is_same, given))]
    if unnamed:
        more = f" and {len(unnamed) - 1:,} more" if len(unnamed) > 1 else ""
        raise ValueError(
            f"{index} was copied or made elsewhere, and remembers sources that were not named in "
            f"this place ({shorten(unnamed[0])}{more}): nothing was read; name all of them once, "
            "where they may be read (lastword info shows them)"
        )


def _join_sources(
    chosen: ChosenSources, given: Sequence[KnownSource], on_error: OnError | None, own: bool
) -> ChosenSources:
    """Put the sources that are given to those that are remembered; see `choose_sources`."""
    looked_at, sources = set[int](), list(chosen.sources)
    for source in given:
        if source.given == STDIN:
            raise ValueError("standard input cannot be looked at again; give a file or folder")
        number = chosen.ledger.number_of(source)
        if number is None:
            number = len(sources)
            sources.append(source)
        elif not own:  # what a stranger chose, as hidden files, is not taken over
            sources[number] = replace(source, given=sources[number].given)
        elif source.options != SourceOptions():
            sources[number] = replace(sources[number], options=source.options)
        looked_at.add(number)
    if not sources and not chosen.forgotten:
        raise ValueError(
            "the index remembers no sources; name the files or folders that it is of, once"
        )
    if not given and not chosen.forgotten:
        looked_at.update(range(len(sources)))
    if on_error is not None:
        for number in looked_at:
            options = replace(sources[number].options, on_error=on_error)
            sources[number] = replace(sources[number], options=options)
    return replace(chosen, sources=tuple(sources), looked_at=frozenset(looked_at))


def list_sources(chosen: ChosenSources, allow_empty: bool) -> FileList:
    """List the files of sources; those that are not looked at have the files that are known.

    Raises:
        OSError: a source cannot be read, or is not there and never was.
        ValueError: a source that had documents is not there or holds nothing, as a disk that is
            not mounted does, and `allow_empty` is not set.
    """
    ledger, sources = chosen.ledger, chosen.sources
    documents = Counter[int]()
    known: dict[int, list[SourceFile]] = {}
    for file in ledger.files.values():
        documents[file.source] += len(file.documents)
        known.setdefault(file.source, []).append(
            SourceFile(file.id, Path(file.path), source=file.source)
        )
    lists: list[ListedFiles] = []
    for number, source in enumerate(sources):
        if number not in chosen.looked_at:
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
