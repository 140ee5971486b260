"""Collections on this disk: BEIR folders, and folders or files of plain text and JSON lines."""

import os
from collections.abc import Iterator
from pathlib import Path

from embedder.files.lines import decode_text, open_binary, shorten
from eval.data.beir import reported_split, split_name
from eval.data.files_below import FilesBelow, files_below
from eval.data.json_texts import make_document, read_texts, unique
from eval.data.qrels import Qrels, read_qrels
from eval.data.queries import read_placed_queries
from index.documents import Document

TEXT_KINDS = (".txt", ".md")
KINDS = (*TEXT_KINDS, ".jsonl")
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
        return unique(read_texts(self.path / CORPUS), "document")

    def queries(self) -> dict[str, str]:
        """Read the judged queries of the split; queries.jsonl may hold those of other splits.

        A judged query may be empty; it finds nothing.
        """
        path = self.path / "queries.jsonl"
        qrels = self.qrels()
        queries = {name: text for _, name, text in read_placed_queries(path) if name in qrels}
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
        path = self.path / "qrels" / f"{self._split}.tsv"
        if not os.path.lexists(path):
            splits = sorted(file.stem for file in path.parent.glob("*.tsv"))
            raise ValueError(
                f"{self.path} has no split {self._split!r}; "
                f"there is {', '.join(splits) or 'none: qrels/SPLIT.tsv files are expected'}"
            )
        return read_qrels(path)


class TextFolder:
    """Documents only: a .txt, .md or .jsonl file, or a folder of them, searched to the bottom.

    A .txt or .md file is one document, whose id is its path relative to the folder; a .jsonl
    file holds one document a line, with id (or _id, docid), text (or contents), perhaps title.
    Hidden files and folders are passed over; links are followed, see `files_below`.

    Attributes:
        name: of the folder or file.
        path: of the folder or file.
        ignored: number of visible files of other kinds, which are not read.
        broken: number of links that lead nowhere.
        repeated: number of linked folders that are read under another name.
    """

    def __init__(self, path: Path) -> None:
        path.stat()  # what is not there, or a link to nothing, is called that
        self.name = path.resolve().name
        self.path = path
        self._root = path if path.is_dir() else path.parent
        below = files_below(path) if path.is_dir() else FilesBelow([path])
        self._files = [file for file in below.files if file.suffix.lower() in KINDS]
        self.ignored = len(below.files) + len(below.others) - len(self._files)
        self.broken, self.repeated = len(below.broken), len(below.repeated)
        if not self._files:
            links = f" and {self.broken} broken links" if self.broken else ""
            raise ValueError(
                f"{path} holds no documents: expected {', '.join(KINDS)} files, or a BEIR folder "
                f"with corpus.jsonl; found {self.ignored} files of other kinds{links}"
            )

    def documents(self) -> Iterator[Document]:
        """Stream the documents, files in order of their paths."""
        return (document for _, document in self.placed_documents())

    def placed_documents(self) -> Iterator[tuple[str, Document]]:
        """Stream the documents with their places, "FILE" or "FILE:LINE", for error messages."""
        return unique((text for file in self._files for text in self._texts(file)), "document")

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

    def _texts(self, file: Path) -> Iterator[tuple[str, Document]]:
        if file.suffix.lower() == ".jsonl":
            yield from read_texts(file)
            return
        doc_id = file.relative_to(self._root).as_posix()
        try:
            doc_id.encode()
        except UnicodeEncodeError as error:
            raise ValueError(
                f"{str(file)!r}: the file's name, which is the document's id, is no UTF-8; "
                "rename the file"
            ) from error
        with open_binary(file) as stream:
            text = decode_text(stream.read(), str(file))
        yield str(file), make_document(doc_id, "", text, "document", str(file))


def is_beir_folder(path: Path) -> bool:
    """Tell whether a folder has BEIR's layout; one whose corpus.jsonl is a broken link has, too."""
    return os.path.lexists(path / CORPUS)
