"""Files read in this process, so that tests are quick."""

from pathlib import Path

from index.documents import Document
from retrieval.sources.items import Notes, Skipped
from retrieval.sources.listing import SourceFile
from retrieval.sources.options import SourceOptions
from retrieval.sources.reading import read_file


def read(
    path: Path, data: bytes | str, options: SourceOptions | None = None, notes: Notes | None = None
) -> tuple[list[Document], list[Skipped]]:
    """Write a file and read it; return its documents, and what was skipped."""
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    file = SourceFile(path.name, path)
    items = list(read_file(file, options or SourceOptions(), notes if notes else Notes()))
    skipped = [item for item in items if isinstance(item, Skipped)]
    return [item[1] for item in items if not isinstance(item, Skipped)], skipped
