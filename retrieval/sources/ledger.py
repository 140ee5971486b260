"""What an index remembers of its sources: which there are, how they are read, what each file gave.

The form is JSON, the same for the same files read in the same way, so that the same build has the
same bytes: no times and no inodes are in it.
"""

import glob
import json
import os
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from embedder.files.config_file import fill, parse_json
from index.storage.checksums import FileRecord
from index.storage.remembered import read_sources, sources_name
from retrieval.sources.options import SourceOptions

_OF_THE_MACHINE = ("workers",)  # options that change nothing that is read


@dataclass(frozen=True, slots=True)
class KnownSource:
    """A file, folder or pattern that an index is of.

    Attributes:
        given: as it was given; ids are made of it where two files have one name.
        path: absolute.
        options: how it is read.
    """

    given: str
    path: str
    options: SourceOptions = field(default_factory=SourceOptions)

    @staticmethod
    def of(source: str | Path, options: SourceOptions | None = None) -> "KnownSource":
        """Return a source that is given now; relative paths are of the working folder."""
        return KnownSource(str(source), str(Path(source).absolute()), options or SourceOptions())

    def is_same(self, other: "KnownSource") -> bool:
        """Tell whether both lead to one place, whatever it was called."""
        if glob.has_magic(self.path):
            return self.path == other.path
        return os.path.realpath(self.path) == os.path.realpath(other.path)


@dataclass(frozen=True, slots=True)
class KnownFile:
    """A file whose documents an index has.

    Attributes:
        id: see `SourceFile`.
        path: absolute.
        source: number of its source.
        digest: of its bytes when it was read; "" where that is not known for sure.
        documents: (id in the file, id in the index) of what it gave, in order.
        faults: number of texts in it that could not be read.
    """

    id: str
    path: str
    source: int
    digest: str
    documents: tuple[tuple[str, str], ...] = ()
    faults: int = 0

    @property
    def ids(self) -> list[str]:
        """Ids in the index."""
        return [name for _, name in self.documents]

    @property
    def owned(self) -> Mapping[str, str]:
        """Id in the file -> id in the index."""
        return dict(self.documents)

    def to_json(self) -> list[Any]:
        """Return plain data; a file that is one document of its own name is written shortest."""
        documents: list[Any] | None = [
            name if own == name else [own, name] for own, name in self.documents
        ]
        if documents == [self.id]:
            documents = None
        return [self.id, self.path, self.source, self.digest, documents, self.faults]

    @staticmethod
    def from_json(row: Any) -> "KnownFile":  # noqa: ANN401  (JSON)
        """Read what `to_json` returned.

        Raises:
            ValueError: it is something else.
        """
        if not isinstance(row, list) or list(map(type, row[:4])) != [str, str, int, str]:
            raise ValueError("a file is not written as files are")
        name, path, source, digest, written, faults = row
        documents = []
        for each in [name] if written is None else written:
            pair = (each, each) if isinstance(each, str) else tuple(each)
            if len(pair) != 2 or not all(isinstance(one, str) for one in pair):
                raise ValueError(f"the documents of {name!r} are not written as ids are")
            documents.append(pair)
        if type(faults) is not int or faults < 0 or source < 0:
            raise ValueError(f"{name!r} is not counted as files are")
        return KnownFile(name, path, source, digest, tuple(documents), faults)


@dataclass(frozen=True, slots=True)
class SourceLedger:
    """The sources of an index, and their files by id, in the order in which they are read."""

    sources: tuple[KnownSource, ...] = ()
    files: Mapping[str, KnownFile] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if any(file.source >= len(self.sources) for file in self.files.values()):
            raise ValueError("a file is of a source that is not there")

    def to_facts(self) -> list[dict[str, Any]]:
        """Return the sources with the number of their files and documents, as JSON."""
        files, documents = Counter[int](), Counter[int]()
        for file in self.files.values():
            files[file.source] += 1
            documents[file.source] += len(file.documents)
        return [
            {
                "source": source.path,
                "options": _chosen(source.options),
                "files": files[number],
                "documents": documents[number],
            }
            for number, source in enumerate(self.sources)
        ]

    def number_of(self, source: KnownSource) -> int | None:
        """Return the number of a source that is remembered; None where it is not."""
        same = (at for at, known in enumerate(self.sources) if known.is_same(source))
        return next(same, None)

    def without(self, numbers: Collection[int]) -> "SourceLedger":
        """Return it without some sources and what is known of their files."""
        kept = [number for number in range(len(self.sources)) if number not in numbers]
        places = {number: place for place, number in enumerate(kept)}
        files = {
            name: replace(file, source=places[file.source])
            for name, file in self.files.items()
            if file.source in places
        }
        return SourceLedger(tuple(self.sources[number] for number in kept), files)

    def to_bytes(self) -> bytes:
        """Write it."""
        sources = [
            {"given": one.given, "path": one.path, "options": _chosen(one.options)}
            for one in self.sources
        ]
        files = [json.dumps(file.to_json()) for file in self.files.values()]
        rows = ",\n".join(files)
        return f'{{"sources": {json.dumps(sources)},\n"files": [\n{rows}\n]}}\n'.encode()

    @staticmethod
    def from_bytes(data: bytes, place: str) -> "SourceLedger":
        """Read what `to_bytes` wrote.

        Raises:
            ValueError: it is something else; the message begins with `place`.
        """
        written = parse_json(data, place)
        if not isinstance(written, dict) or written.keys() != {"sources", "files"}:
            raise ValueError(f"{place}: expected sources and files")
        try:
            sources = tuple(fill(KnownSource, each, place) for each in written["sources"])
            rows = [KnownFile.from_json(row) for row in written["files"]]
            ledger = SourceLedger(sources, {row.id: row for row in rows})
        except (TypeError, ValueError) as error:
            reason = str(error).removeprefix(f"{place}: ")
            raise ValueError(f"{place}: {reason}") from error
        if len(ledger.files) != len(rows):
            raise ValueError(f"{place}: a file is listed twice")
        return ledger


def read_ledger(index: Path, record: FileRecord | None) -> SourceLedger:
    """Return what an index remembers; nothing where its manifest has no record of it.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is damaged.
    """
    if record is None:
        return SourceLedger()
    return SourceLedger.from_bytes(read_sources(index, record), str(index / sources_name(record)))


def _chosen(options: SourceOptions) -> dict[str, Any]:
    """Return the options that are not as they are by default."""
    plain, values = SourceOptions(), asdict(options)
    return {
        each.name: values[each.name]
        for each in fields(options)
        if values[each.name] != getattr(plain, each.name) and each.name not in _OF_THE_MACHINE
    }
