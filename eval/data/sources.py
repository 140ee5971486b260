"""Several sources in one command: people's files, BEIR folders, and data sets by name."""

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from embedder.files.lines import shorten
from eval.data.collections import Collection, is_written_as_path, judged_parts, open_collection
from eval.data.judged import JudgedFolder
from eval.data.local import BeirFolder, is_beir_folder
from eval.data.zips import is_beir_zip
from index.documents import Document
from retrieval.sources.collection import FileSource
from retrieval.sources.items import Placed
from retrieval.sources.ledger import SourceLedger
from retrieval.sources.listing import STDIN, is_pattern
from retrieval.sources.options import SourceOptions

Part = FileSource | Collection


class JoinedSources:
    """Documents of several sources, one source after the other, each id once.

    Attributes:
        parts: people's files that stand together are one of them.
    """

    def __init__(self, parts: Sequence[Part]) -> None:
        self.parts = tuple(parts)

    @property
    def files(self) -> FileSource | None:
        """The part of people's files; None where there is none."""
        return next((part for part in self.parts if isinstance(part, FileSource)), None)

    @property
    def plain(self) -> bool:
        """Whether everything can be read twice without much cost."""
        return all(
            part.plain if isinstance(part, FileSource) else isinstance(part, BeirFolder)
            for part in self.parts
        )

    def __iter__(self) -> Iterator[Document]:
        return self.documents()

    def remember(self) -> None:
        """Note what each file gives, so that an index made of this can be kept in step."""
        if self.files is not None:
            self.files.remember()

    def ledger(self) -> SourceLedger | None:
        """Return what is to be remembered of the files that were read; None where nothing is."""
        return None if self.files is None else self.files.ledger()

    def documents(self) -> Iterator[Document]:
        """Stream the documents."""
        return (document for _, document in self.placed_documents())

    def placed_documents(self) -> Iterator[Placed]:
        """Stream the documents with their places.

        Raises:
            ValueError: as of the parts, or an id is in two of them.
        """
        seen: set[str] = set()
        for part in self.parts:
            for place, document in _placed(part):
                if len(self.parts) > 1:
                    if document.id in seen:
                        raise ValueError(f"{place}: document {shorten(document.id)} comes twice")
                    seen.add(document.id)
                yield place, document


def open_sources(
    sources: str | Path | Iterable[str | Path], options: SourceOptions | None = None
) -> JoinedSources:
    """Open files, folders, patterns, "-" for standard input, BEIR folders and data sets by name.

    People's files are read together, in the order in which they are given, at the place of the
    first of them. What this returns can be given to `lastword.build` as documents.

    Raises:
        OSError: a path that leads nowhere, or cannot be read.
        ValueError: neither a path nor a name, or nothing is left to read.

    >>> source = lw.read_sources("notes", lw.SourceOptions(exclude=("*.pdf",)))
    >>> [document.id for document in source], source.files.summary()
    (['keys.md', 'tea.txt'], ['skipped 1 name by --include or --exclude'])
    """
    parts: list[Part | None] = []
    files: list[str | Path] = []
    for source in [sources] if isinstance(sources, str | Path) else sources:
        if judged := judged_parts(Path(source)):
            parts.append(JudgedFolder(Path(source), judged, options=options or SourceOptions()))
        elif not _is_files(source):
            parts.append(open_collection(source))
        else:
            if not files:
                parts.append(None)
            files.append(source)
    return JoinedSources([FileSource(files, options) if part is None else part for part in parts])


def _is_files(source: str | Path) -> bool:
    """Tell whether a source is people's files, and no collection with judgements."""
    if is_beir_folder(Path(source)) or is_beir_zip(Path(source)):
        return False
    name = str(source)
    there = os.path.lexists(source) or is_written_as_path(name)
    return name == STDIN or there or is_pattern(name)


def _placed(part: Part) -> Iterator[Placed]:
    if isinstance(part, FileSource | BeirFolder):
        return part.placed_documents()
    return ((part.name, document) for document in part.documents())
