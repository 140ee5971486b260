"""The documents of files and folders, in their order, with what was passed over and why."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from embedder.files.lines import shorten
from index.documents import Document
from retrieval.sources.items import FAULTS, SKIPPED, Notes, Placed, Skipped
from retrieval.sources.kinds import is_plain
from retrieval.sources.ledger import SourceLedger
from retrieval.sources.listing import SourceFile, list_files
from retrieval.sources.options import SourceOptions
from retrieval.sources.pool import read_files
from retrieval.sources.remembering import GivenIds, Remembered, refuse_fault, skips_faults

_MOST_NAMES = 100_000  # of what is skipped; all of it is counted


class FileSource:
    """The documents of files, folders and patterns.

    Files are listed at once and read when asked for, each time anew; what was passed over is
    known to the end once the documents are.

    Args:
        sources: see `retrieval.sources.listing.list_files`.
        options: see `SourceOptions`.

    Attributes:
        name: of the first source.
        files: to read.
        notes: remarks of the last reading.

    Raises:
        OSError: a path that leads nowhere, or a folder that cannot be read.
        ValueError: nothing is left to read.
    """

    def __init__(self, sources: Sequence[str | Path], options: SourceOptions | None = None) -> None:
        self.options = options or SourceOptions()
        self._sources = list(sources)
        self._remembered: Remembered | None = None
        listed = list_files(sources, self.options)
        self.name = Path(sources[0]).resolve().name if sources else ""
        self.files = listed.files
        self._listed = listed.skipped
        self._skipped: list[Skipped] = list(listed.skipped)
        self._counts: Counter[str] = Counter(each.kind for each in listed.skipped)
        self.notes = Notes()
        for skipped in self._listed:
            if skipped.kind in FAULTS and self.options.on_error == "stop":
                raise ValueError(f"{skipped.name!r}: {skipped.reason}")
        if not self.files:
            raise self._nothing()

    @property
    def skipped(self) -> Sequence[Skipped]:
        """What was passed over, by name and reason, in the order in which it was met."""
        return self._skipped

    @property
    def counts(self) -> Mapping[str, int]:
        """Kind -> number of what was passed over; kinds are those of `items.SKIPPED`."""
        return {kind: self._counts[kind] for kind in SKIPPED if self._counts[kind]}

    @property
    def plain(self) -> bool:
        """Whether all files are text by their names, which is read twice without much cost."""
        return all(is_plain(file.id) for file in self.files)

    def __iter__(self) -> Iterator[Document]:
        return self.documents()

    def documents(self) -> Iterator[Document]:
        """Read the documents, in the order of the files."""
        return (document for _, document in self.placed_documents())

    def placed_documents(self) -> Iterator[Placed]:
        """Read the documents with their places, "FILE" or "FILE:LINE", for error messages.

        Raises:
            ValueError: a file or record cannot be read, or an id comes twice, where that is not
                skipped; or nothing could be read.
        """
        self._skipped, self.notes = list(self._listed), Notes()
        self._counts = Counter(each.kind for each in self._listed)
        given, remembered, keep = GivenIds(), self._remembered, self.options.keep_empty
        if remembered is not None:
            remembered.begin(self.files)
        for file, item in read_files(self.files, self.options, self.notes):
            if isinstance(item, Skipped):
                self._pass_over(item, file)
                if remembered is not None and item.kind == "unreadable":
                    remembered.add_fault(file)
                continue
            place, document = item
            skips = skips_faults(file, self.options, place)
            if not document.content and skips and not keep:
                self._pass_over(Skipped(place, "it holds no words", "empty"), file)
                continue
            own = document.id
            name = given.give(own, file, skips)
            if remembered is not None:
                remembered.add(file, own, name if document.content or keep else "")
            if not name:
                reason = f"document {shorten(own)} comes twice"
                self._pass_over(Skipped(place, reason), file)
                continue
            if name != own:
                document = replace(document, id=name)
                self.notes.add("renamed", file.id)
            yield place, document
        if not given:
            raise self._nothing()

    def remember(self) -> None:
        """From the next reading on, note what each file gives, for `ledger`."""
        self._remembered = Remembered(self._sources, self.options)

    def ledger(self) -> SourceLedger | None:
        """Return what is remembered of the last reading; None where that was not asked for."""
        return None if self._remembered is None else self._remembered.ledger()

    def summary(self) -> list[str]:
        """Write lines on what was passed over and noted: how many of each kind."""
        lines = [
            f"skipped {count:,} {one if count == 1 else several} {rest}"
            for kind, (one, several, rest) in SKIPPED.items()
            if (count := self._counts[kind])
        ]
        return lines + self.notes.sentences()

    def _pass_over(self, skipped: Skipped, file: SourceFile) -> None:
        refuse_fault(skipped, file, self.options)
        self._counts[skipped.kind] += 1
        if len(self._skipped) < _MOST_NAMES:
            self._skipped.append(skipped)

    def _nothing(self) -> ValueError:
        places = ", ".join(map(str, self._sources)) or "the list of sources"
        passed_over = "; ".join(self.summary()) or "there are no files"
        faults = [each for each in self._skipped if each.kind in FAULTS]
        first = next(iter((*faults, *self._skipped)), None)
        example = f", e.g. {first.name}: {first.reason}" if first else ""
        return ValueError(f"{places} holds no documents that can be read: {passed_over}{example}")
