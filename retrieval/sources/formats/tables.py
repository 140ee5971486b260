"""Tables: comma or tab separated with a line of names, and Parquet; a row is a document."""

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from embedder.files.lines import LONGEST_LINE
from retrieval.sources.decoding import without_mark
from retrieval.sources.fields import IDS, TEXTS, TITLES, RecordReader, read_records
from retrieval.sources.formats.plain import look_ahead, text_lines
from retrieval.sources.items import Blob, Notes, ReadItems, Skipped, UnreadableError
from retrieval.sources.options import SourceOptions

_SEPARATORS = ",\t;|"
_WHOLE = re.compile(r"-?(?:0|[1-9][0-9]{0,17})")
_DECIMAL = re.compile(r"-?(?:0|[1-9][0-9]{0,14})\.[0-9]{1,15}")
QUOTING: Mapping[bool, Literal[0, 3]] = {True: csv.QUOTE_MINIMAL, False: csv.QUOTE_NONE}
_UNNAMED: Mapping[int, Sequence[str]] = {
    2: ("id", "text"),
    4: ("id", "url", "title", "text"),  # MS MARCO's documents
}
_DIGITS = re.compile("[0-9]+")
_LETTER = re.compile(r"[^\W\d_]")
_LOOKED_AT = 50  # lines by which ids are known
_ROWS = 1000  # of Parquet at a time


def read_table(blob: Blob, options: SourceOptions, notes: Notes) -> ReadItems:
    """Read a table whose first line names the columns; one without is numbered from 1."""
    sample, encoding = look_ahead(blob, notes)
    reader = RecordReader(blob.id, options, notes)
    yield from read_records(_rows(blob, encoding, sample, options, notes), reader)


def _rows(
    blob: Blob, encoding: str, sample: bytes, options: SourceOptions, notes: Notes
) -> Iterator[tuple[str, Mapping[str, Any]] | Skipped]:
    csv.field_size_limit(LONGEST_LINE)
    lines = (line for _, line in text_lines(blob, encoding, options, notes))
    start = without_mark(sample).decode(encoding, "replace")
    separator = _separator((start.splitlines() or [""])[0], blob.suffix)
    quoted = separator != "\t" or start.startswith('"')  # quotation marks are text between tabs
    rows = csv.reader(lines, delimiter=separator, quoting=QUOTING[quoted])
    header: Sequence[str] | None = None
    try:
        for row in rows:
            if not any(cell.strip() for cell in row):
                continue
            place = f"{blob.place}:{rows.line_num}"
            if header is None:
                header = [name.strip() for name in row]
                unnamed = _unnamed_columns(start, separator, len(row))
                if not unnamed and _names_columns(header):
                    header = _distinct(header)
                    continue
                header = unnamed or [str(number + 1) for number in range(len(row))]
            if len(row) != len(header):
                notes.add("cells", place)
                row[len(header) :] = [" ".join(row[len(header) :])]
            cells = zip([*header, "more"], row, strict=False)
            yield place, {name: _value(name, cell) for name, cell in cells if cell.strip()}
    except csv.Error as error:
        yield Skipped(f"{blob.place}:{rows.line_num}", f"no row of a table: {error}")


def _separator(line: str, suffix: str) -> str:
    if suffix in (".tsv", ".tab") and "\t" in line:
        return "\t"
    return max(_SEPARATORS, key=line.count)  # the first of equals: a comma


def _names_columns(header: Sequence[str]) -> bool:
    """Tell whether the first line names columns: a usual name, or short words, each once."""
    folded = [name.lower() for name in header]
    if any(name in (*IDS, *TITLES, *TEXTS) for name in folded):
        return True
    return len(set(folded)) == len(folded) and all(
        0 < len(name) <= 40 and not _is_number(name) for name in folded
    )


def _distinct(header: Sequence[str]) -> list[str]:
    """Number the names that come again, so that no column hides another."""
    names: list[str] = []
    for name in header:
        again = sum(each == name or each.startswith(f"{name} (") for each in names)
        names.append(f"{name} ({again + 1})" if again else name)
    return names


def _unnamed_columns(start: str, separator: str, count: int) -> Sequence[str]:
    """Name the columns of a table of texts without a header, as MS MARCO's collection.tsv is.

    It is one where ids of one form, digits among them, stand first in all lines, each once, and
    most lines end in words.
    """
    lines = start.split("\n")[: _LOOKED_AT + 1]
    lines = lines[:-1] if len(lines) > 1 else lines  # the last may be cut
    ids = [line.partition(separator)[0].strip() for line in lines if line.strip()]
    forms = {_DIGITS.sub("9", each) for each in ids}
    if count not in _UNNAMED or separator != "\t" or len(set(ids)) < len(ids):
        return ()
    if len(forms) != 1 or not re.fullmatch(r"\S*9\S*", forms.pop()):
        return ()
    worded = sum(bool(_LETTER.search(line.rpartition(separator)[2])) for line in lines)
    return _UNNAMED[count] if 2 * worded > len(ids) else ()


def _is_number(cell: str) -> bool:
    return bool(_WHOLE.fullmatch(cell) or _DECIMAL.fullmatch(cell))


def _value(name: str, cell: str) -> str | int | float:
    """Return what a cell holds: a number only where it is written as numbers are, as in "42"."""
    if name.lower() in (*IDS, *TITLES, *TEXTS):
        return cell
    if _WHOLE.fullmatch(cell):
        return int(cell)
    if _DECIMAL.fullmatch(cell) and str(float(cell)) == cell:
        return float(cell)
    return cell


def read_parquet(blob: Blob, options: SourceOptions, notes: Notes) -> ReadItems:
    """Read a Parquet file in batches of rows.

    Raises:
        UnreadableError: pyarrow is not installed.
    """
    try:
        from pyarrow import ArrowException  # type: ignore[import-untyped]
        from pyarrow.parquet import ParquetFile  # type: ignore[import-untyped]
    except ImportError as error:
        raise UnreadableError("Parquet needs pyarrow: pip install 'lastword[parquet]'") from error
    reader = RecordReader(blob.id, options, notes)
    number = 0
    try:
        with ParquetFile(blob.stream) as file:
            for batch in file.iter_batches(_ROWS):
                for record in batch.to_pylist():
                    number += 1
                    yield reader.read(record, f"{blob.place}#{number}")
    except (ArrowException, OSError, ValueError) as error:
        raise UnreadableError(f"no Parquet file, or a damaged one: {error}") from error
