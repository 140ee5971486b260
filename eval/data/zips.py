"""BEIR's collections as they are downloaded: a .zip file, read where it is."""

import zipfile
from collections.abc import Iterator
from pathlib import Path

from embedder.files.lines import decode_line, raw_lines
from eval.data.local import CORPUS, BeirFolder
from retrieval.sources.items import UnpackBudget
from retrieval.sources.zipped import ZIP_ERRORS


class BeirZip(BeirFolder):
    """A .zip file that holds one folder in BEIR's layout; nothing of it is written to disk.

    A member that unpacks to more than 256 MB and 100 times the size of the file is refused.

    Attributes:
        name: of its results.
        path: of the file, and the folder in it.
        file: the .zip file.

    Raises:
        ValueError: it holds several such folders.
    """

    def __init__(self, file: Path, split: str | None = None) -> None:
        self.file = file
        self._members = frozenset(_names(file))
        corpora = [name for name in self._members if _is_corpus(name)]
        if len(corpora) != 1:
            raise ValueError(
                f"{file} holds {len(corpora)} collections; unpack it, and give the path of one"
            )
        self._inside = corpora[0].removesuffix(CORPUS)
        folder = file / self._inside if self._inside else file.with_suffix("")
        super().__init__(folder, split)
        self.path = file / self._inside

    def splits(self) -> list[str]:
        """Return the splits that have judgements."""
        start = f"{self._inside}qrels/"
        names = (name.removeprefix(start) for name in self._members if name.startswith(start))
        return sorted(name[:-4] for name in names if name.endswith(".tsv"))

    def _has(self, name: str) -> bool:
        return self._inside + name in self._members

    def _lines(self, name: str) -> Iterator[tuple[str, str]]:
        path = self.path / name
        budget = UnpackBudget.of(self.file.stat().st_size)
        try:
            with zipfile.ZipFile(self.file) as archive, archive.open(self._inside + name) as file:
                for number, raw in enumerate(raw_lines(file, path), start=1):  # type: ignore[arg-type]
                    budget.spend(len(raw))
                    line = decode_line(raw, f"{path}:{number}")
                    if line.strip():
                        yield f"{path}:{number}", line
        except KeyError as error:
            raise ValueError(f"{self.file} lacks {self._inside}{name}") from error
        except ZIP_ERRORS as error:
            text = str(error)
            fault = text if text.startswith(str(path)) else f"{path}: {text}"
            raise ValueError(fault) from error


def is_beir_zip(path: Path) -> bool:
    """Tell whether a file is a .zip that holds corpus.jsonl in a folder in BEIR's layout."""
    if not path.is_file() or not zipfile.is_zipfile(path):
        return False
    return any(_is_corpus(name) for name in _names(path))


def _names(path: Path) -> list[str]:
    """Return the names of members; those of no archive, or of a damaged one, are none."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except ZIP_ERRORS:
        return []


def _is_corpus(name: str) -> bool:
    """Tell whether a member is the documents of a collection; hidden folders are copies."""
    parts = name.split("/")
    return parts[-1] == CORPUS and not any(part.startswith((".", "__MACOSX")) for part in parts)
