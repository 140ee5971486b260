"""Texts in JSON lines, one object a line: the fields that documents and queries are read from."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from embedder.files.config_file import parse_object
from embedder.files.lines import read_lines, shorten
from index.documents import Document
from retrieval.sources.fields import as_json

_IDS = ("_id", "id", "docid")
_TEXTS = ("text", "contents")
_NOT_METADATA = {*_IDS, "title", *_TEXTS}


def read_objects(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield (place, JSON object) of every line that is not blank.

    Raises:
        OSError: there is no such file, or it cannot be read.
        ValueError: a line is no text or no JSON object; names file and line.
    """
    for place, line in read_lines(path):
        yield place, parse_object(line, place)


def read_texts(path: Path, kind: str = "document") -> Iterator[tuple[str, Document]]:
    """Yield (place, document) of every line: an id, perhaps a title, and a text.

    An id is text or a whole number, and white space around it does not count. A title or a text
    that is null or missing is "". Other fields of a document, and those within "metadata", are its
    metadata.

    Args:
        path: JSON lines with _id (or id, docid), title, text (or contents).
        kind: "document" or "query", for errors.

    Raises:
        OSError: there is no such file, or it cannot be read.
        ValueError: a line has no id, or a field is no text or no legal Unicode; names file and
            line.
    """
    return parse_texts(read_lines(path), kind)


def parse_texts(
    lines: Iterable[tuple[str, str]], kind: str = "document"
) -> Iterator[tuple[str, Document]]:
    """Yield (place, document) of every (place, line); see `read_texts`."""
    for place, line in lines:
        record = parse_object(line, place)
        title, text = (_text(record, names, place) for names in (("title",), _TEXTS))
        document = make_document(_id(record, place), title, text, kind, place)
        yield place, document if kind == "query" else _with_metadata(document, record, place)


def unique(texts: Iterable[tuple[str, Document]], kind: str) -> Iterator[tuple[str, Document]]:
    """Yield every (place, text), of the kind that errors name.

    Raises:
        ValueError: an id comes twice; names the second place.
    """
    seen: set[str] = set()
    for place, text in texts:
        if text.id in seen:
            raise ValueError(f"{place}: {kind} {shorten(text.id)} comes twice")
        seen.add(text.id)
        yield place, text


def make_document(doc_id: str, title: str, text: str, kind: str, place: str) -> Document:
    """Make a document.

    Raises:
        ValueError: a field is no legal Unicode, e.g. half a surrogate pair; names the place.
    """
    try:
        return Document(doc_id, title, text)
    except ValueError as error:
        reason = str(error).replace("document ", f"{kind} ", 1)
        raise ValueError(f"{place}: {reason}") from error


def _with_metadata(document: Document, record: Mapping[str, Any], place: str) -> Document:
    fields = {name: record[name] for name in record if name not in _NOT_METADATA}
    if isinstance(fields.get("metadata"), Mapping):
        fields |= fields.pop("metadata")
    try:
        return replace(document, metadata=as_json(fields)) if fields else document
    except (TypeError, ValueError) as error:
        raise ValueError(f"{place}: {error}") from error


def _id(record: Mapping[str, Any], place: str) -> str:
    value = _first(record, _IDS)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str) or not value.strip() or "\0" in value:  # trec_eval ends there
        raise ValueError(
            f"{place}: expected text in {' or '.join(_IDS)}; "
            f"got {'nothing' if value is None else shorten(value)}"
        )
    return value.strip()


def _text(record: Mapping[str, Any], names: tuple[str, ...], place: str) -> str:
    value = _first(record, names)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ValueError(f"{place}: expected text in {' or '.join(names)}; got {shorten(value)}")
    return value


def _first(record: Mapping[str, Any], names: tuple[str, ...]) -> Any:  # noqa: ANN401  (JSON)
    """Return the first of some fields that is there and not null."""
    for name in names:
        if (value := record.get(name)) is not None:
            return value
    return None
