"""Collections on this disk: BEIR folders, and folders or files of plain text and JSON lines."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from eval.beir_names import reported_split, split_name
from eval.measures import Qrels
from index.documents import Document

TEXT_KINDS = (".txt", ".md")
KINDS = (*TEXT_KINDS, ".jsonl")
_IDS = ("_id", "id", "docid")
_TEXTS = ("text", "contents")


class BeirFolder:
    """A folder in BEIR's layout: corpus.jsonl, queries.jsonl and qrels/SPLIT.tsv.

    Files are read when asked for; documents are streamed, and only their ids are kept, to
    refuse one that comes twice.
    """

    def __init__(self, folder: Path, split: str | None = None) -> None:
        own_name = folder.resolve().name
        self._folder = folder
        self._split = split or reported_split(own_name)
        self.name = split_name(own_name, self._split)

    def documents(self) -> Iterator[Document]:
        """Stream corpus.jsonl in its order."""
        return _unique(_json_documents(self._folder / "corpus.jsonl"))

    def queries(self) -> dict[str, str]:
        """Read the judged queries of the split; queries.jsonl may hold those of other splits."""
        path = self._folder / "queries.jsonl"
        judged = self.qrels()
        found: dict[str, str] = {}
        for place, record in _records(path):
            query_id = _field(record, _IDS, place)
            if query_id in found:
                raise ValueError(f"{place}: query {query_id!r} comes twice")
            if query_id in judged:
                found[query_id] = _field(record, _TEXTS, place)
        missing = judged.keys() - found.keys()
        if missing:
            raise ValueError(
                f"{path} lacks {len(missing)} judged queries of split {self._split!r}, "
                f"e.g. {min(missing)!r}"
            )
        return found

    def qrels(self) -> Qrels:
        """Read qrels/SPLIT.tsv: query id, document id and whole-number gain, tab-separated."""
        path = self._folder / "qrels" / f"{self._split}.tsv"
        if not path.is_file():
            there = sorted(file.stem for file in path.parent.glob("*.tsv"))
            raise ValueError(
                f"{self._folder} has no split {self._split!r}; "
                f"there is {', '.join(there) or 'none: qrels/SPLIT.tsv files are expected'}"
            )
        qrels: Qrels = {}
        for number, line in _lines(path):
            if line.strip() and not (number == 1 and line.startswith("query-id\t")):
                _judge(line, f"{path}:{number}", qrels)
        return qrels


class TextFolder:
    """Documents only: a .txt, .md or .jsonl file, or a folder of them, searched to the bottom.

    A .txt or .md file is one document, whose id is its path relative to the folder; a .jsonl
    file holds one document a line, with id (or _id, docid), text (or contents), perhaps title.
    Hidden files and folders are passed over.
    """

    def __init__(self, path: Path) -> None:
        self.name = path.resolve().name
        self._path = path
        self._root = path if path.is_dir() else path.parent
        files = _visible_files(path)
        self._files = [file for file in files if file.suffix.lower() in KINDS]
        self.ignored = len(files) - len(self._files)
        """Number of visible files of other kinds, which are not read."""
        if not self._files:
            raise ValueError(
                f"{path} holds no documents: expected {', '.join(KINDS)} files, or a BEIR folder "
                f"with corpus.jsonl; found {self.ignored} files of other kinds"
            )

    def documents(self) -> Iterator[Document]:
        """Stream the documents, files in order of their paths."""
        return _unique(found for file in self._files for found in self._read(file))

    def queries(self) -> dict[str, str]:
        """Refuse: there are none."""
        raise self._without("queries")

    def qrels(self) -> Qrels:
        """Refuse: there are none."""
        raise self._without("judgements")

    def _without(self, what: str) -> ValueError:
        return ValueError(
            f"{self._path} holds documents only, no {what}; to be judged, a collection needs "
            "corpus.jsonl, queries.jsonl and qrels/test.tsv in one folder"
        )

    def _read(self, file: Path) -> Iterator[tuple[str, Document]]:
        if file.suffix.lower() == ".jsonl":
            yield from _json_documents(file)
            return
        doc_id = file.relative_to(self._root).as_posix()
        yield str(file), Document(doc_id, "", _decoded(file.read_bytes(), str(file)))


def _visible_files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    found = (file for file in path.rglob("*") if file.is_file())
    return sorted(
        file
        for file in found
        if not any(part.startswith(".") for part in file.relative_to(path).parts)
    )


def _unique(documents: Iterator[tuple[str, Document]]) -> Iterator[Document]:
    seen: set[str] = set()
    for place, document in documents:
        if document.id in seen:
            raise ValueError(f"{place}: document {document.id!r} comes twice")
        seen.add(document.id)
        yield document


def _json_documents(path: Path) -> Iterator[tuple[str, Document]]:
    for place, record in _records(path):
        title = record.get("title") or ""
        if not isinstance(title, str):
            raise ValueError(f"{place}: expected text as title; got {title!r}")
        doc_id, text = _field(record, _IDS, place), _field(record, _TEXTS, place)
        try:
            document = Document(doc_id, title, text)
        except ValueError as error:  # half a surrogate pair, which JSON can write down
            raise ValueError(f"{place}: {error}") from error
        yield place, document


def _records(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Read JSON objects, one a line, each with its place for error messages."""
    for number, line in _lines(path):
        place = f"{path}:{number}"
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except json.JSONDecodeError as error:
            raise ValueError(f"{place}: expected one JSON object a line; {error}") from error
        if not isinstance(record, dict):
            raise ValueError(f"{place}: expected a JSON object; got {type(record).__name__}")
        yield place, record


def _field(record: Mapping[str, Any], names: tuple[str, ...], place: str) -> str:
    """Return the first of some fields that is there; a number is taken as an id."""
    value = next((record[name] for name in names if record.get(name) is not None), None)
    if names is _IDS and isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or (names is _IDS and not value):
        raise ValueError(
            f"{place}: expected text in {' or '.join(names)}; "
            f"got {'nothing' if value is None else repr(value)}"
        )
    return value


def _judge(line: str, place: str, qrels: Qrels) -> None:
    fields = [field.strip() for field in line.split("\t")]
    try:
        query_id, doc_id, gain = fields[0], fields[1], int(fields[2])
    except (IndexError, ValueError):
        fields = []
    if len(fields) != 3:
        raise ValueError(
            f"{place}: expected query id, document id and whole-number gain, separated by tabs; "
            f"got {line.rstrip()!r}"
        )
    judged = qrels.setdefault(query_id, {})
    if judged.setdefault(doc_id, gain) != gain:
        raise ValueError(
            f"{place}: document {doc_id!r} of query {query_id!r} was judged {judged[doc_id]}, "
            f"here {gain}"
        )


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    with path.open("rb") as file:  # bytes: only line feeds end a line, not the marks inside text
        for number, raw in enumerate(file, start=1):
            yield number, _decoded(raw, f"{path}:{number}")


def _decoded(raw: bytes, place: str) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{place}: expected UTF-8 text; {error}") from error
