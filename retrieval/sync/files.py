"""Which files are as they were, which are to be read, and which cannot be seen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath

from retrieval.sources.ledger import KnownFile, KnownSource, SourceLedger
from retrieval.sources.listing import FileList, SourceFile
from retrieval.sync.held import HeldDocuments
from retrieval.sync.looks import FileLooks


@dataclass(frozen=True, slots=True)
class FilePlan:
    """The files of all sources, sorted by what is to be done with them.

    Attributes:
        files: that are there, in their order.
        digests: id of a file -> digest, taken before it is read.
        same: ids of files whose documents are in the index as they would be read.
        away: files that are known and cannot be seen: under a folder that cannot be read, or
            under a link to nothing.
        suspects: ids of documents that are perhaps to be found under another id.
    """

    files: tuple[SourceFile, ...]
    digests: Mapping[str, str]
    same: frozenset[str]
    away: tuple[KnownFile, ...]
    suspects: tuple[str, ...]


def plan_files(
    ledger: SourceLedger,
    sources: Sequence[KnownSource],
    listing: FileList,
    held: HeldDocuments,
    digests: Mapping[str, str],
) -> FilePlan:
    """Sort the files of a listing by what is known of them."""
    known, there = ledger.files, {file.id for file in listing.files}
    as_before = {
        number
        for number, source in enumerate(sources[: len(ledger.sources)])
        if _reads_alike(source, ledger.sources[number])
    }
    same = {
        file.id: known[file.id].ids
        for file in listing.files
        if file.id in known
        and file.source == known[file.id].source
        and file.source in as_before
        and digests[file.id] == known[file.id].digest != ""
    }
    missing = held.missing([name for names in same.values() for name in names])
    if missing:  # somebody deleted documents; their files give them again
        same = {name: ids for name, ids in same.items() if missing.isdisjoint(ids)}
    hidden = tuple(each.name for each in listing.skipped if each.kind in ("unreadable", "broken"))
    gone = [file for file in known.values() if file.id not in there]
    by_digest = {file.digest: file for file in known.values() if file.digest}
    fresh = {digests[name] for name in there - same.keys()}
    copied = [by_digest[digest] for digest in sorted(fresh & by_digest.keys())]
    changed = [file for file in known.values() if file.id in there and file.id not in same]
    suspects = (name for file in (*gone, *changed, *copied) for name in file.ids)
    return FilePlan(
        listing.files,
        digests,
        frozenset(same),
        tuple(file for file in gone if _is_below(file.path, hidden)),
        tuple(dict.fromkeys(suspects)),
    )


def take_digests(
    listing: FileList, seen: Mapping[str, KnownFile], looks: FileLooks
) -> dict[str, str]:
    """Return the digest of every file; of those in `seen` the one that is known."""
    return {
        file.id: seen[file.id].digest if file.id in seen else looks.digest(file)
        for file in listing.files
    }


def _reads_alike(source: KnownSource, before: KnownSource) -> bool:
    """Tell whether files of a source are read as they were before."""
    options = (replace(one.options, workers=0, on_error="auto") for one in (source, before))
    return len(set(options)) == 1


def _is_below(path: str, names: Sequence[str]) -> bool:
    return any(path == name or PurePath(name) in PurePath(path).parents for name in names)
