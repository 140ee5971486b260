"""JSON: a record a line, a list of records, one record, or the texts in any other value."""

from collections.abc import Iterator, Mapping
from typing import Any

from embedder.files.config_file import parse_json, parse_object
from index.documents import Document
from retrieval.sources.decoding import clean
from retrieval.sources.fields import TEXTS, RecordReader, flat_text
from retrieval.sources.formats.plain import look_ahead, read_text, text_lines
from retrieval.sources.items import Blob, Notes, ReadItems, Skipped
from retrieval.sources.options import SourceOptions


def read_json_lines(blob: Blob, options: SourceOptions, notes: Notes) -> ReadItems:
    """Read JSON lines, an object a line; a line that is none is skipped."""
    reader = RecordReader(blob.id, options, notes)
    _, encoding = look_ahead(blob, notes)
    for number, line in text_lines(blob, encoding, options, notes):
        place = f"{blob.place}:{number}"
        if not line.strip():
            continue
        try:
            record = parse_object(line, place)
        except ValueError as error:
            yield Skipped(place, str(error).removeprefix(f"{place}: "))
            continue
        yield reader.read(record, place)


def read_json_file(blob: Blob, options: SourceOptions, notes: Notes) -> ReadItems:
    """Read a JSON file: a list of objects is one document each, else it is one document."""
    text = read_text(blob, options, notes)
    try:
        value = parse_json(text, blob.place, finite=False)
    except ValueError as error:
        if _is_lines(text):
            blob.stream.seek(0)
            yield from read_json_lines(blob, options, notes)
            return
        yield Skipped(blob.place, str(error).removeprefix(f"{blob.place}: "))
        return
    records = list(_records(value, options))
    if not records:
        yield blob.place, Document(blob.id, "", clean(flat_text(value) or text, blob.id, notes))
        return
    reader = RecordReader(blob.id, options, notes)
    for number, record in enumerate(records, start=1):
        yield reader.read(record, f"{blob.place}#{number}")


def _records(value: Any, options: SourceOptions) -> Iterator[Mapping[str, Any]]:  # noqa: ANN401
    """Yield the objects of a list, or an object that holds a text; else nothing."""
    if isinstance(value, dict):
        names = (options.text_field,) if options.text_field else TEXTS
        value = [value] if any(isinstance(value.get(name), str) for name in names) else []
    if isinstance(value, list) and all(isinstance(each, dict) for each in value):
        yield from value


def _is_lines(text: str) -> bool:
    """Tell whether a file called .json is JSON lines, as data sets often are."""
    lines = [line for line in text[: 1 << 20].split("\n") if line.strip()][:2]
    try:
        return len(lines) > 1 and all(isinstance(parse_json(line, ""), dict) for line in lines)
    except ValueError:
        return False
