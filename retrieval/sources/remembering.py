"""How ids are given to documents of files, what a fault stops, and what is noted of each file."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from retrieval.sources.items import FAULTS, Skipped
from retrieval.sources.ledger import KnownFile, KnownSource, SourceLedger
from retrieval.sources.listing import STDIN, SourceFile, digest_files
from retrieval.sources.options import SourceOptions


class GivenIds:
    """The ids of documents that were given so far, each once."""

    def __init__(self) -> None:
        self._given: set[str] = set()

    def __len__(self) -> int:
        return len(self._given)

    def __contains__(self, name: str) -> bool:
        return name in self._given

    def give(self, own: str, file: SourceFile, skips: bool) -> str:
        """Return the id of the next document; "" where it would come twice.

        Args:
            own: its id in the file.
            file: that it is of.
            skips: whether an id that came before becomes FILE#ID.
        """
        name = f"{file.id}#{own}" if skips and own in self._given else own
        if name in self._given:
            return ""
        self._given.add(name)
        return name


def skips_faults(file: SourceFile, options: SourceOptions, place: str) -> bool:
    """Tell whether a fault is skipped: in folders, and inside of archives and mailboxes."""
    inside = not file.named or place.startswith(f"{file.called}/")
    return options.on_error == "skip" or (options.on_error == "auto" and inside)


def refuse_fault(skipped: Skipped, file: SourceFile, options: SourceOptions) -> None:
    """Stop at a fault that may not be skipped.

    Raises:
        ValueError: it is one.
    """
    if skipped.kind in FAULTS and not skips_faults(file, options, skipped.name):
        raise ValueError(f"{skipped.name}: {skipped.reason}")


class Remembered:
    """Notes what each file gives while files are read one after the other.

    The digest of a file is taken before it is read: where it changes in between, the next look at
    it finds another digest and reads it again.
    """

    def __init__(self, sources: Sequence[str | Path], options: SourceOptions) -> None:
        self._sources = tuple(KnownSource.of(source, options) for source in sources)
        self._digests: dict[str, str] = {}
        self._files: Sequence[SourceFile] = ()
        self._documents: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
        self._faults: defaultdict[str, int] = defaultdict(int)

    def begin(self, files: Sequence[SourceFile]) -> None:
        """Forget what was noted, and take the digests of files, once."""
        self._files = [file for file in files if self._sources[file.source].given != STDIN]
        self._documents.clear()
        self._faults.clear()
        if not self._digests:
            self._digests.update(digest_files(self._files))

    def add(self, file: SourceFile, own: str, name: str) -> None:
        """Note a document with its id in the file and in the index, "" where it is in none."""
        if name:
            self._documents[file.id].append((own, name))
        else:
            self._digests[file.id] = ""  # its id may be free when the file is looked at again

    def add_fault(self, file: SourceFile) -> None:
        """Note a text that could not be read."""
        self._faults[file.id] += 1

    def ledger(self) -> SourceLedger | None:
        """Return what was noted; None where no source can be looked at again."""
        kept = [at for at, source in enumerate(self._sources) if source.given != STDIN]
        numbers = {at: number for number, at in enumerate(kept)}
        sources = tuple(self._sources[at] for at in kept)
        if not sources or not all(_is_text(source.path) for source in sources):
            return None
        files = (
            KnownFile(
                file.id,
                str(file.path.absolute()),
                numbers[file.source],
                self._digests[file.id],
                tuple(self._documents[file.id]),
                self._faults[file.id],
            )
            for file in self._files
        )
        return SourceLedger(sources, {file.id: file for file in files})


def _is_text(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True
