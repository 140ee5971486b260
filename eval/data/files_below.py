"""The files of a folder, searched to the bottom, links to folders followed without going round."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(slots=True)
class FilesBelow:
    """The visible files of a folder.

    Attributes:
        files: paths that begin with the folder's, sorted.
        broken: links that lead nowhere, or round in a circle.
        repeated: folders behind links whose files are listed under another name already.
        others: what is neither a file nor a folder, such as a pipe.
    """

    files: list[Path] = field(default_factory=list)
    broken: list[Path] = field(default_factory=list)
    repeated: list[Path] = field(default_factory=list)
    others: list[Path] = field(default_factory=list)


def files_below(folder: Path) -> FilesBelow:
    """List the files of a folder; hidden files and folders are passed over.

    A folder is searched once, under its own name where it lies below `folder`, else under that of
    the first link to it: so links that lead back, and links among links, end.

    Raises:
        OSError: a folder cannot be read.
    """
    below = FilesBelow()
    searched: set[str] = set()
    folders, links = [folder], list[Path]()
    while folders or links:
        if not folders:
            links.sort(reverse=True)
            folders.append(links.pop())
        here = folders.pop()
        real = os.path.realpath(here)
        if real in searched:
            below.repeated.append(here)
            continue
        searched.add(real)
        for path in _visible(here):
            if path.is_dir():
                (links if path.is_symlink() else folders).append(path)
            elif path.is_file():
                below.files.append(path)
            else:
                (below.others if path.exists() else below.broken).append(path)
    below.files.sort()
    return below


def _visible(folder: Path) -> Iterator[Path]:
    for entry in os.scandir(folder):
        if not entry.name.startswith("."):
            yield folder / entry.name
