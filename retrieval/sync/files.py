"""Which files are as they were, which are to be read, and which cannot be seen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath

from retrieval.sources.ledger import KnownFile, KnownSource
from retrieval.sources.listing import FileList, SourceFile
from retrieval.sync.held import HeldDocuments
from retrieval.sync.lists import ChosenSources
from retrieval.sync.looks import FileLooks


@dataclass(frozen=True, slots=True)
class FilePlan:
    """The files of all sources, sorted by what is to be done with them.

    Attributes:
        files: that are there, in their order.
        digests: id of a file -> digest, taken before it is read.
        same: id of a file -> what is known of it, where its documents stay as they are.
        away: files that are known and cannot be seen: under a folder that cannot be read, or
            under a link to nothing.
        suspects: ids of documents that are perhaps to be found under another id.
        missing: ids of documents of files that are known, which somebody deleted.
    """

    files: tuple[SourceFile, ...]
    digests: Mapping[str, str]
    same: Mapping[str, KnownFile]
    away: tuple[KnownFile, ...]
    suspects: tuple[str, ...]
    missing: frozenset[str]


def plan_files(
    chosen: ChosenSources, listing: FileList, held: HeldDocuments, digests: Mapping[str, str]
) -> FilePlan:
    """Sort the files of a listing by what is known of them; those not looked at stay."""
    known, there = chosen.ledger.files, {file.id for file in listing.files}
    as_before = {
        number
        for number, before in enumerate(chosen.ledger.sources)
        if _reads_alike(chosen.sources[number], before)
    }
    unseen = _unseen(chosen, listing)
    same = {
        file.id: known[file.id]
        for file in listing.files
        if file.id in known
        and file.source == known[file.id].source
        and file.source in as_before & chosen.looked_at
        and digests[file.id] == known[file.id].digest != ""
    }
    missing = held.missing(
        [name for file in (*same.values(), *unseen.values()) for name in file.ids]
    )
    if missing:  # somebody deleted documents; their files give them again
        same = {name: file for name, file in same.items() if missing.isdisjoint(file.ids)}
    same |= unseen
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
        same,
        tuple(file for file in gone if _is_below(file.path, hidden)),
        tuple(dict.fromkeys(suspects)),
        frozenset(missing),
    )


def take_digests(chosen: ChosenSources, listing: FileList, looks: FileLooks) -> Mapping[str, str]:
    """Return the digest of every file; of those that are not looked at the one that is known."""
    unseen = _unseen(chosen, listing)
    return {
        file.id: unseen[file.id].digest if file.id in unseen else looks.digest(file)
        for file in listing.files
    }


def _unseen(chosen: ChosenSources, listing: FileList) -> Mapping[str, KnownFile]:
    """Return what is known of files whose sources are not looked at, by their ids now.

    The id of such a file changes where a source before its own has a new file of that id.
    """
    known = {(file.source, file.path): file for file in chosen.ledger.files.values()}
    return {
        file.id: known[file.source, str(file.path)]
        for file in listing.files
        if file.source not in chosen.looked_at
    }


def _reads_alike(source: KnownSource, before: KnownSource) -> bool:
    """Tell whether files of a source are read as they were before."""
    options = (replace(one.options, workers=0, on_error="auto") for one in (source, before))
    return len(set(options)) == 1


def _is_below(path: str, names: Sequence[str]) -> bool:
    return any(path == name or PurePath(name) in PurePath(path).parents for name in names)
