"""Records to documents: which field is the id, the title and the text; the others are metadata."""

import math
from collections.abc import Iterator, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

from embedder.files.lines import shorten
from index.documents import Document
from retrieval.sources.decoding import clean
from retrieval.sources.items import Item, Notes, Skipped, UnreadableError
from retrieval.sources.options import SourceOptions

IDS = ("_id", "id", "docid", "doc_id", "document_id", "pid")
TITLES = ("title", "headline", "subject")
TEXTS = ("text", "contents", "content", "body", "passage", "abstract")


class RecordReader:
    """Makes documents of the records of one file.

    A field is found by the name that the options give, else by the usual names, also in capitals.
    Records have ids where the first one has; else they are numbered.

    Args:
        name: of the file, which ids of records without one begin with.
        options: names of fields.
        notes: take what was done.
    """

    def __init__(self, name: str, options: SourceOptions, notes: Notes) -> None:
        self._name = name
        self._options = options
        self._notes = notes
        self._number = 0
        self._numbered: bool | None = None

    def read(self, record: Mapping[str, Any], place: str) -> Item:
        """Return the document of the next record, or why there is none."""
        self._number += 1
        try:
            return place, self._document(record)
        except (UnreadableError, TypeError, ValueError) as error:
            return Skipped(place, " ".join(str(error).split()))

    def _document(self, record: Mapping[str, Any]) -> Document:
        fields = dict(record)
        doc_id = self._take_id(fields)
        title_name, title = self._take(fields, self._options.title_field, TITLES)
        text_name, text = self._take(fields, self._options.text_field, TEXTS)
        if not title_name and not text_name and self._options.text_field == "":
            text = flat_text(fields)
            if text:
                self._notes.add("fields", self._name)
        inner = fields.pop("metadata", None)
        if isinstance(inner, Mapping):
            fields |= inner
        elif inner is not None:
            fields["metadata"] = inner
        title, text = (clean(value, self._name, self._notes) for value in (title, text))
        return Document(doc_id, title, text, {name: as_json(each) for name, each in fields.items()})

    def _take_id(self, fields: dict[str, Any]) -> str:
        name = self._find(fields, self._options.id_field, IDS)
        if self._numbered is None:
            self._numbered = not name
        if not name:
            if not self._numbered:
                raise UnreadableError(f"expected text in {' or '.join(IDS[:3])}; got nothing")
            self._notes.add("numbered", self._name)
            return f"{self._name}#{self._number}"
        value = fields.pop(name)
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        if not isinstance(value, str) or not value.strip() or "\0" in value:  # trec_eval ends there
            raise UnreadableError(f"expected text in {name}; got {shorten(value)}")
        return value.strip()

    def _take(self, fields: dict[str, Any], chosen: str, usual: tuple[str, ...]) -> tuple[str, str]:
        """Take a field out of a record; return its name, "" where there is none, and its text."""
        name = self._find(fields, chosen, usual)
        value = fields.pop(name) if name else None
        if not name:
            name = next((each for each in usual if each in fields), "")  # which is null
            fields.pop(name, None)
        if value is None:
            return name, ""
        if not isinstance(value, str):
            raise UnreadableError(f"expected text in {name}; got {shorten(value)}")
        return name, value

    def _find(self, fields: Mapping[str, Any], chosen: str, usual: tuple[str, ...]) -> str:
        """Return the name of a field that is there and not null; "" where none is."""
        if chosen:
            if chosen not in fields:
                raise UnreadableError(
                    f"it has no field {chosen!r}; its fields are {shorten(', '.join(fields))}"
                )
            return chosen if fields[chosen] is not None else ""
        for name in usual:
            if fields.get(name) is not None:
                return name
        folded = {name.strip().lower(): name for name in fields if fields[name] is not None}
        return next((folded[name] for name in usual if name in folded), "")


def as_json(value: Any) -> Any:  # noqa: ANN401  (JSON)
    """Return a value as JSON has it: dates as ISO 8601, numbers that are none as null."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, Decimal):
        return as_json(int(value) if value == value.to_integral_value() else float(value))
    if isinstance(value, Mapping):
        return {str(name): as_json(each) for name, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [as_json(each) for each in value]
    return str(value)


def flat_text(value: Any) -> str:  # noqa: ANN401  (JSON)
    """Return all texts in a JSON value, a line each, with the names of their fields."""

    def lines(value: Any, name: str) -> Iterator[str]:  # noqa: ANN401
        if isinstance(value, str):
            yield f"{name}: {value}" if name else value
        elif isinstance(value, Mapping):
            for key, inner in value.items():
                yield from lines(inner, str(key))
        elif isinstance(value, list):
            for inner in value:
                yield from lines(inner, name)

    return "\n".join(lines(value, ""))


def read_records(
    records: Iterator[tuple[str, Mapping[str, Any]] | Skipped], reader: RecordReader
) -> Iterator[Item]:
    """Read (place, record) by (place, record); what was skipped before is handed on."""
    for each in records:
        yield each if isinstance(each, Skipped) else reader.read(each[1], each[0])
