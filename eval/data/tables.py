"""Read tab-separated files whose first line names the columns."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from embedder.files.lines import read_lines

SUFFIX = ".tsv"


def read_rows(path: Path, columns: Sequence[str]) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Yield (place, column -> text) of every line that is not blank; a place is "FILE:LINE".

    Quotation marks are text, and columns beside `columns` are handed over too. White space
    around the names of columns does not count.

    Raises:
        OSError: there is no such file, or it cannot be read.
        ValueError: a column is missing or there twice, or a line has too few or too many fields;
            or as `read_lines`.
    """
    lines = _rows(path)
    header = [name.strip() for name in next(lines, ("", []))[1]]
    missing = [name for name in columns if header.count(name) != 1]
    if missing:
        fault = "there twice" if missing[0] in header else "missing"
        raise ValueError(
            f"{path}: expected a first line that names the columns {', '.join(columns)}, "
            f"separated by tabs; {', '.join(missing)} is {fault}"
        )
    for place, fields in lines:
        if len(fields) != len(header):
            raise ValueError(
                f"{place}: expected {len(header)} fields as in the first line, separated "
                f"by tabs; got {len(fields)}"
            )
        yield place, dict(zip(header, fields, strict=True))


def column_names(path: Path) -> list[str]:
    """Return the names in the first line."""
    return [name.strip() for name in next(_rows(path), ("", []))[1]]


def tsv_files(source: Path, kind: str) -> list[Path]:
    """Return a file itself, or the .tsv files of a folder by name.

    Args:
        source: a file or a folder.
        kind: contents of the files, for the error.

    Raises:
        FileNotFoundError: there is no such file or folder.
        ValueError: a folder holds none.
    """
    if not source.is_dir():
        source.stat()  # what is not there is called that
        return [source]
    files = sorted(path for path in source.glob(f"*{SUFFIX}") if not path.name.startswith("."))
    if not files:
        raise ValueError(f"{source} holds no .tsv files of {kind}")
    return files


def distinct(texts: Iterable[str]) -> list[str]:
    """Return every text once, in the order of first appearance."""
    return list(dict.fromkeys(texts))


def _rows(path: Path) -> Iterator[tuple[str, list[str]]]:
    return ((place, line.split("\t")) for place, line in read_lines(path))
