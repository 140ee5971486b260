"""The files below a folder: rules of ignore files, patterns, hidden files, and links once each."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from index.manifest_file import is_index
from retrieval.sources.items import SkipKind, Skipped
from retrieval.sources.kinds import is_archive
from retrieval.sources.options import SourceOptions

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

IGNORE_FILES = (".gitignore", ".lastwordignore")
NEVER = (".git", ".hg", ".svn", "CVS")  # kept by programs, even where hidden files are read
_MOST_RULES = 1 << 20  # bytes of an ignore file


@dataclass(slots=True)
class Walk:
    """A walk through a folder.

    A folder is searched once, under its own name where it lies below the first, else under that
    of the first link to it: so links that lead back, and links among links, end.

    Attributes:
        files: paths that begin with the folder's, sorted.
        skipped: what is passed over, by its path.
    """

    root: Path
    options: SourceOptions
    files: list[Path] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    _rules: list[tuple[Path, "GitIgnoreSpec"]] = field(default_factory=list)

    def run(self) -> "Walk":
        """Search the folder to the bottom.

        Raises:
            OSError: the folder itself cannot be read.
        """
        wanted = Patterns(self.options)
        searched: set[str] = set()
        folders, links = [self.root], list[Path]()
        while folders or links:
            if not folders:
                links.sort(reverse=True)
                folders.append(links.pop())
            here = folders.pop()
            real = os.path.realpath(here)
            if real in searched:
                self._skip(here, "repeated")
                continue
            searched.add(real)
            for path in self._visible(here):
                if path.is_dir():
                    if is_index(path):  # often that of this very folder, which never comes to rest
                        self._skip(path, "index")
                    elif wanted.leave_out(self._name(path), folder=True):
                        self._skip(path, "patterns")
                    else:
                        (links if path.is_symlink() else folders).append(path)
                elif not path.is_file():
                    self._skip(path, "ignored" if path.exists() else "broken")
                elif wanted.leave_out_file(self._name(path)):
                    self._skip(path, "patterns")
                else:
                    self.files.append(path)
        self.files.sort()
        self.skipped.sort(key=lambda one: one.name)
        return self

    def _visible(self, folder: Path) -> Iterator[Path]:
        """Yield what is in a folder and is neither hidden, nor ignored, nor a link not wanted."""
        try:
            names = sorted(entry.name for entry in os.scandir(folder))
        except OSError as error:
            if folder == self.root:
                raise
            self._skip(folder, "unreadable", error.strerror or "cannot be read")
            return
        if self.options.ignore_files:
            self._read_rules(folder, names)
        for name in names:
            path = folder / name
            if name in NEVER or (name.startswith(".") and not self.options.hidden):
                if name not in IGNORE_FILES:
                    self._skip(path, "hidden")
            elif self.options.links == "skip" and path.is_symlink():
                self._skip(path, "links")
            elif self._ruled_out(path):
                self._skip(path, "rules")
            else:
                yield path

    def _read_rules(self, folder: Path, names: list[str]) -> None:
        from pathspec import GitIgnoreSpec

        for name in IGNORE_FILES:
            path = folder / name
            if name in names and path.is_file():
                try:
                    with path.open("rb") as file:
                        lines = file.read(_MOST_RULES).decode("utf-8-sig", "replace").splitlines()
                    self._rules.append((folder, GitIgnoreSpec.from_lines(lines)))
                except (OSError, ValueError) as error:
                    self._skip(path, "unreadable", f"its rules are not followed: {error}")

    def _ruled_out(self, path: Path) -> bool:
        """Tell whether ignore files name a path; a deeper file, and a later line, comes first."""
        for folder, rules in reversed(self._rules):
            if folder in path.parents:
                name = path.relative_to(folder).as_posix() + ("/" if path.is_dir() else "")
                verdict = rules.check_file(name).include
                if verdict is not None:
                    return verdict
        return False

    def _skip(self, path: Path, kind: SkipKind, reason: str = "") -> None:
        self.skipped.append(Skipped(str(path), reason or REASONS[kind], kind))

    def _name(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()


class Patterns:
    """--include and --exclude, as lines of a .gitignore file mean them."""

    def __init__(self, options: SourceOptions) -> None:
        self._include = _spec("include", options.include)
        self._exclude = _spec("exclude", options.exclude)

    def leave_out(self, name: str, folder: bool = False) -> bool:
        """Tell whether a file, by its path below the source, or a folder is not wanted.

        A pattern that matches a folder, or an archive, matches all that is in it.
        """
        if self._exclude and self._exclude.match_file(f"{name}/" if folder else name):
            return True
        return bool(self._include and not folder and not self._include.match_file(name))

    def leave_out_file(self, name: str) -> bool:
        """Tell whether a file is not wanted; of an archive, its members are asked for."""
        if is_archive(name) and not (self._exclude and self._exclude.match_file(name)):
            return False
        return self.leave_out(name)


REASONS: dict[SkipKind, str] = {
    "ignored": "of a kind that is not read",
    "broken": "a link to nothing",
    "repeated": "a link to what is read under another name",
    "links": "a link",
    "hidden": "hidden",
    "rules": "named by .gitignore or .lastwordignore",
    "patterns": "left out by --include or --exclude",
    "index": "an index of lastword",
    "empty": "it holds no words",
    "unreadable": "cannot be read",
}
"""What is said of a kind where there is no more to say."""


def _spec(option: str, patterns: tuple[str, ...]) -> "GitIgnoreSpec | None":
    if not patterns:
        return None
    from pathspec import GitIgnoreSpec

    try:
        return GitIgnoreSpec.from_lines(patterns)
    except ValueError as error:
        raise ValueError(f"--{option}: {error}; patterns are those of .gitignore") from error
