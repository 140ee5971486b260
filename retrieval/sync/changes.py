"""What differs between an index and its sources: found file by file while documents are read."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path
from typing import Any

from index.documents import Document
from retrieval.sources.items import Item, Notes, Skipped
from retrieval.sources.ledger import KnownFile, KnownSource, SourceLedger
from retrieval.sources.listing import SourceFile
from retrieval.sources.pool import read_files
from retrieval.sources.remembering import GivenIds, refuse_fault, skips_faults
from retrieval.sync.files import FilePlan
from retrieval.sync.held import HeldDocuments, Wording
from retrieval.sync.lists import ChosenSources
from retrieval.sync.report import SyncReport

_LOST = ("unreadable", "ignored")  # of a file that was read: nobody can tell what it holds now


@dataclass(frozen=True, slots=True)
class RowsCopy:
    """A document to be written with the rows of one that the index holds.

    Attributes:
        held: id of that one.
        name: its own id.
        metadata: its own; None where it is that of the other.
    """

    held: str
    name: str
    metadata: Mapping[str, Any] | None


@dataclass(slots=True)
class _Tally:
    """What was found so far."""

    new: dict[str, Wording] = field(default_factory=dict)
    changed: list[str] = field(default_factory=list)
    renamed: list[tuple[str, str]] = field(default_factory=list)
    unchanged: int = 0
    failed: list[tuple[str, str]] = field(default_factory=list)
    passed_over: Counter[str] = field(default_factory=Counter)
    copies: list[RowsCopy] = field(default_factory=list)
    files: dict[str, KnownFile] = field(default_factory=dict)


class Changes:
    """The differences between an index and its sources.

    `documents` reads what has changed and yields what is to be encoded; when it has come to its
    end, the rest is known.

    Args:
        held: documents of the index.
        chosen: what the index follows, and what it remembers of that.
        plan: their files.
        skipped: what was passed over when they were listed.
    """

    def __init__(
        self,
        held: HeldDocuments,
        chosen: ChosenSources,
        plan: FilePlan,
        skipped: Sequence[Skipped],
    ) -> None:
        self._held = held
        self._chosen = chosen
        self._ledger = chosen.ledger
        self._sources = chosen.sources
        self._plan = plan
        self._ids = GivenIds()
        self._tally = _Tally(passed_over=Counter(each.kind for each in skipped))
        for each in skipped:
            if each.kind == "unreadable":
                self._tally.failed.append((each.name, each.reason))
        held.learn([*plan.suspects, *chosen.dropped])

    def documents(self) -> Iterator[Document]:
        """Read the files that have changed; yield the documents that are to be encoded.

        Raises:
            ValueError: a file cannot be read, and may not be skipped.
        """
        reading = _Reading([file for file in self._plan.files if file.id not in self._plan.same])
        items = reading.items(self._sources)
        for file in self._plan.files:
            if file.id in self._plan.same:
                self._keep(file, self._plan.same[file.id])
            else:
                yield from self._take(file, reading.of(file, items))
        for known in self._plan.away:
            self._keep(SourceFile(known.id, Path(known.path), source=known.source), known)
            self._fail(known.path, "it cannot be seen", len(known.documents))

    @property
    def copies(self) -> Sequence[RowsCopy]:
        """Documents that are written with rows that are there."""
        return self._tally.copies

    @property
    def removed(self) -> list[str]:
        """Ids of documents that go."""
        owned = (name for file in self._ledger.files.values() for name in file.ids)
        all_names = dict.fromkeys([*owned, *self._chosen.dropped])
        left = [name for name in all_names if name not in self._ids]
        missing = self._held.missing(left)
        return [name for name in left if name not in missing]

    def ledger(self) -> SourceLedger:
        """Return what is remembered from now on."""
        return SourceLedger(self._sources, self._tally.files)

    def report(self) -> SyncReport:
        """Return what was found."""
        tally, removed = self._tally, dict.fromkeys(self.removed)
        moved = [*tally.renamed, *self._moved(removed)]
        for old, _ in moved:
            removed.pop(old, None)
        names = {name for _, name in moved}
        return SyncReport(
            new=tuple(name for name in tally.new if name not in names),
            changed=tuple(tally.changed),
            moved=tuple(moved),
            removed=tuple(removed),
            unchanged=tally.unchanged,
            failed=tuple(tally.failed),
            copied=len(tally.copies),
            passed_over=dict(tally.passed_over),
            forgotten=self._chosen.forgotten,
        )

    def _moved(self, removed: Mapping[str, None]) -> Iterator[tuple[str, str]]:
        """Yield (old id, new id): a document is gone, and one of the same text has come."""
        places: defaultdict[bytes, list[str]] = defaultdict(list)
        for name in reversed(list(removed)) if self._tally.new else ():
            wording = self._held.wording(name)
            if wording is not None:
                places[wording.encoded].append(name)
        for name, wording in self._tally.new.items():
            if before := places.get(wording.encoded):
                yield before.pop(), name

    def _keep(self, file: SourceFile, known: KnownFile) -> None:
        """Take over the documents of a file that is as it was, or cannot be read."""
        self._tally.files[file.id] = self._still(file, known, known.documents)

    def _still(
        self, file: SourceFile, known: KnownFile, documents: Sequence[tuple[str, str]]
    ) -> KnownFile:
        if file.id != known.id:  # who looks at it finds the ids that it gives now
            known = replace(known, id=file.id, digest="")
        pairs = []
        for own, before in documents:
            name = self._ids.give(own, file, skips=True)
            if not name:
                known = replace(known, digest="")
                continue
            pairs.append((own, name))
            if before in self._plan.missing:
                continue
            if name == before:
                self._tally.unchanged += 1
            else:
                self._tally.renamed.append((before, name))
                self._tally.copies.append(RowsCopy(before, name, None))
        return replace(known, documents=tuple(pairs), source=file.source)

    def _take(self, file: SourceFile, items: Iterator[Item]) -> Iterator[Document]:
        """Take over what a file holds now; yield what is to be encoded."""
        options, known = self._sources[file.source].options, self._ledger.files.get(file.id)
        digest, faults, lost = self._plan.digests[file.id], 0, ""
        pairs: list[tuple[str, str]] = []
        for item in items:
            if isinstance(item, tuple) and (item[1].content or options.keep_empty):
                document = item[1]
                name = self._ids.give(document.id, file, skips_faults(file, options, item[0]))
                if name:
                    pairs.append((document.id, name))
                    yield from self._compare(replace(document, id=name))
                else:
                    digest = ""
                    self._pass_over(_twice(item[0], document.id), file)
                continue
            skipped = item if isinstance(item, Skipped) else _empty(item[0])
            self._pass_over(skipped, file)
            faults += skipped.kind == "unreadable"
            lost = lost or (skipped.reason if skipped.kind in _LOST else "")
        read = KnownFile(file.id, str(file.path), file.source, digest, tuple(pairs), faults)
        if known is not None and lost and (not pairs or faults > known.faults):
            read = self._keep_lost(file, known, read, lost)
        self._tally.files[file.id] = read

    def _keep_lost(
        self, file: SourceFile, known: KnownFile, read: KnownFile, reason: str
    ) -> KnownFile:
        """Keep documents of a file that were read before and cannot be read now."""
        left = [pair for pair in known.documents if pair[0] not in read.owned]
        if not left:
            return read
        kept = self._still(file, known, left)
        self._fail(str(file.path), reason, len(kept.documents))
        return replace(kept, documents=(*read.documents, *kept.documents), digest="")

    def _compare(self, document: Document) -> Iterator[Document]:
        """Compare a document with the index; yield it if it is to be encoded."""
        before, now = self._held.wording(document.id), self._held.digest(document)
        if before == now:
            self._tally.unchanged += 1
            return
        if before is None:
            self._tally.new[document.id] = now
        else:
            self._tally.changed.append(document.id)
        same_text = before is not None and before.encoded == now.encoded
        rows = document.id if same_text else self._held.with_rows_of(now)
        if rows is None:
            yield document
        else:
            self._tally.copies.append(RowsCopy(rows, document.id, document.metadata))

    def _pass_over(self, skipped: Skipped, file: SourceFile) -> None:
        refuse_fault(skipped, file, self._sources[file.source].options)
        self._tally.passed_over[skipped.kind] += 1
        if skipped.kind == "unreadable":
            self._tally.failed.append((skipped.name, skipped.reason))

    def _fail(self, name: str, reason: str, kept: int) -> None:
        several = "its document stays" if kept == 1 else f"{kept:,} of its documents stay"
        told = [each for each in self._tally.failed if each[0] != name]
        self._tally.failed = [*told, (name, f"{reason.rstrip('.')}; {several} as before")]


class _Reading:
    """Reads files in their order, each with the options of its source."""

    def __init__(self, files: Sequence[SourceFile]) -> None:
        self._files = files
        self._next: tuple[SourceFile, Item] | None = None

    def items(self, sources: Sequence[KnownSource]) -> Iterator[tuple[SourceFile, Item]]:
        """Yield what all files hold."""
        for number, files in groupby(self._files, key=lambda file: file.source):
            yield from read_files(list(files), sources[number].options, Notes())

    def of(self, file: SourceFile, items: Iterator[tuple[SourceFile, Item]]) -> Iterator[Item]:
        """Yield what the next file holds."""
        while True:
            if self._next is None:
                self._next = next(items, None)
            if self._next is None or self._next[0].id != file.id:
                return
            _, item = self._next
            self._next = None
            yield item


def _twice(place: str, own: str) -> Skipped:
    return Skipped(place, f"document {own!r} comes twice")


def _empty(place: str) -> Skipped:
    return Skipped(place, "it holds no words", "empty")
