"""Read tab-separated files whose first line names the columns."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

SUFFIX = ".tsv"


def read_rows(path: Path, columns: Sequence[str]) -> Iterator[tuple[int, Mapping[str, str]]]:
    """Yield every line that is not blank as column -> text, with its number.

    Quotation marks are text, and columns beside `columns` are handed over too.

    Raises:
        ValueError: a column is missing, a line has too few or too many fields, or is no UTF-8.
    """
    lines = _lines(path)
    header = next(lines, (1, []))[1]
    missing = [name for name in columns if name not in header]
    if missing:
        raise ValueError(
            f"{path}: expected a first line that names the columns {', '.join(columns)}, "
            f"separated by tabs; {', '.join(missing)} is missing"
        )
    for number, fields in lines:
        if len(fields) != len(header):
            raise ValueError(
                f"{path}:{number}: expected {len(header)} fields as in the first line, separated "
                f"by tabs; got {len(fields)}"
            )
        yield number, dict(zip(header, fields, strict=True))


def columns(path: Path) -> list[str]:
    """Return the names in the first line."""
    return next(_lines(path), (1, []))[1]


def tsv_files(source: Path, of: str) -> list[Path]:
    """Return a file itself, or the .tsv files of a folder by name.

    Args:
        source: a file or a folder.
        of: what the files hold, for the error.

    Raises:
        ValueError: there is nothing to read.
    """
    if source.is_file():
        return [source]
    if not source.is_dir():
        raise ValueError(f"{source} is neither a file nor a folder; give .tsv files of {of}")
    found = sorted(path for path in source.glob(f"*{SUFFIX}") if not path.name.startswith("."))
    if not found:
        raise ValueError(f"{source} holds no .tsv files of {of}")
    return found


def _lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    with path.open("rb") as file:  # bytes: only line feeds end a line, not the marks inside text
        for number, raw in enumerate(file, start=1):
            try:
                line = raw.decode("utf-8-sig").rstrip("\r\n")
            except UnicodeDecodeError as error:
                raise ValueError(f"{path}:{number}: expected UTF-8 text; {error}") from error
            if line.strip():
                yield number, line.split("\t")
