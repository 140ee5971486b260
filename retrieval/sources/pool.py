"""Files read in their order, those that are not plain text by processes beside this one."""

from collections.abc import Iterator, Sequence

from retrieval.sources.items import Item, Notes
from retrieval.sources.listing import SourceFile
from retrieval.sources.options import SourceOptions
from retrieval.sources.reading import read_file


def read_files(
    files: Sequence[SourceFile], options: SourceOptions, notes: Notes
) -> Iterator[tuple[SourceFile, Item]]:
    """Yield what files hold, in their order."""
    for file in files:
        for item in read_file(file, options, notes):
            yield file, item
