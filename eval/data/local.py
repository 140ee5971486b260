"""Collections on this disk: BEIR folders, and people's own files."""

import os
from collections.abc import Iterator
from pathlib import Path

from embedder.files.lines import read_lines, shorten
from eval.data.beir import reported_split, split_name
from eval.data.json_texts import parse_texts, unique
from eval.data.qrels import Qrels, parse_qrels
from eval.data.queries import parse_queries
from index.documents import Document
from retrieval.sources.collection import FileSource
from retrieval.sources.options import SourceOptions

CORPUS = "corpus.jsonl"


class BeirFolder:
    """A folder in BEIR's layout: corpus.jsonl, queries.jsonl and qrels/SPLIT.tsv.

    Files are read when asked for; documents are streamed, and only their ids are kept, to
    refuse one that comes twice.

    Attributes:
        name: of its results.
        path: of the folder.
    """

    def __init__(self, folder: Path, split: str | None = None) -> None:
        own_name = folder.resolve().name
        self.path = folder
        self._split = split or reported_split(own_name)
        self.name = split_name(own_name, self._split)

    def documents(self) -> Iterator[Document]:
        """Stream corpus.jsonl in its order."""
        return (document for _, document in self.placed_documents())

    def placed_documents(self) -> Iterator[tuple[str, Document]]:
        """Stream the documents with their places, "FILE:LINE", for error messages."""
        return unique(parse_texts(self._lines(CORPUS)), "document")

    def queries(self) -> dict[str, str]:
        """Read the judged queries of the split; queries.jsonl may hold those of other splits.

        A judged query may be empty; it finds nothing.
        """
        path = self.path / "queries.jsonl"
        qrels = self.qrels()
        placed = parse_queries(self._lines("queries.jsonl"))
        queries = {name: text for _, name, text in placed if name in qrels}
        missing = qrels.keys() - queries.keys()
        if missing:
            raise ValueError(
                f"{path} lacks {len(missing)} judged queries of split {self._split!r}, "
                f"e.g. {shorten(min(missing))}"
            )
        if not any(text.strip() for text in queries.values()):
            raise ValueError(f"{path}: every judged query is empty; expected text in text")
        return queries

    def qrels(self) -> Qrels:
        """Read qrels/SPLIT.tsv."""
        name = f"qrels/{self._split}.tsv"
        if not self._has(name):
            raise ValueError(
                f"{self.path} has no split {self._split!r}; there is "
                f"{', '.join(self.splits()) or 'none: qrels/SPLIT.tsv files are expected'}"
            )
        return parse_qrels(self._lines(name), str(self.path / name))

    def splits(self) -> list[str]:
        """Return the splits that have judgements."""
        return sorted(file.stem for file in (self.path / "qrels").glob("*.tsv"))

    def _has(self, name: str) -> bool:
        return os.path.lexists(self.path / name)

    def _lines(self, name: str) -> Iterator[tuple[str, str]]:
        return read_lines(self.path / name)


class TextFolder(FileSource):
    """Documents only: people's files, or a folder of them; see `FileSource`.

    Here what cannot be read is an error, unless the options say otherwise: figures are of all
    documents, or of none.

    Attributes:
        name: of the folder or file.
        path: of the folder or file.
    """

    def __init__(self, path: Path, options: SourceOptions | None = None) -> None:
        super().__init__([path], options or SourceOptions(on_error="stop"))
        self.path = path

    def queries(self) -> dict[str, str]:
        """Refuse: there are none."""
        raise self._lack("queries")

    def qrels(self) -> Qrels:
        """Refuse: there are none."""
        raise self._lack("judgements")

    def _lack(self, kind: str) -> ValueError:
        return ValueError(
            f"{self.path} holds documents only, no {kind}; to be judged, a collection needs "
            "corpus.jsonl, queries.jsonl and qrels/test.tsv in one folder"
        )


def is_beir_folder(path: Path) -> bool:
    """Tell whether a folder has BEIR's layout; one whose corpus.jsonl is a broken link has, too."""
    return os.path.lexists(path / CORPUS)
