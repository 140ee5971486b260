"""Which files a source has, with what digests: the plain list that all reading begins with."""

import glob
import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import BinaryIO

from embedder.files.lines import refuse_special
from index.manifest_file import is_index
from retrieval.sources.items import Skipped
from retrieval.sources.ledger import KnownSource
from retrieval.sources.options import SourceOptions
from retrieval.sources.walking import REASONS, Walk

STDIN = "-"
"""The source that is standard input."""


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file to read.

    Attributes:
        id: its path relative to the source, "/" between folders; the name of a file given alone.
        path: where it lies, beginning as the source was given.
        named: it was given by name, and not found in a folder or by a pattern.
        place: what errors call it, if not the path.
        source: number of the source that it is of.
    """

    id: str
    path: Path
    named: bool = False
    place: str = ""
    source: int = 0

    @property
    def called(self) -> str:
        """What errors call it."""
        return self.place or str(self.path)


@dataclass(frozen=True, slots=True)
class FileList:
    """The files of sources, each id once, and what was passed over, in the order of the sources."""

    files: tuple[SourceFile, ...] = ()
    skipped: tuple[Skipped, ...] = ()


ListedFiles = tuple[Sequence[SourceFile], Sequence[Skipped]]
"""The files of one source, and what is passed over there."""


def list_files(sources: Iterable[str | Path], options: SourceOptions | None = None) -> FileList:
    """List the files of files, folders and patterns.

    Of two files with one id the second is called by its path as given; a file that is given twice,
    also by two names of one folder, is read once.

    Args:
        sources: paths; patterns such as "notes/**/*.md", where there is no such path.
        options: see `SourceOptions`.

    Raises:
        OSError: a path that leads nowhere, or a folder that cannot be read.
        ValueError: a pattern that matches nothing, or a device, pipe or socket.
    """
    options = options or SourceOptions()
    known = [KnownSource(str(source), str(source), options) for source in sources]
    return join_lists(known, [list_one(source, options) for source in sources])


def join_lists(sources: Sequence[KnownSource], lists: Sequence[ListedFiles]) -> FileList:
    """Join what sources have, in their order; see `list_files`.

    Args:
        sources: to make ids of where two files have one.
        lists: what `list_one` gave for each.
    """
    files: dict[str, SourceFile] = {}
    skipped: list[Skipped] = []
    seen: set[str] = set()
    for number, (source, (found, passed_over)) in enumerate(zip(sources, lists, strict=True)):
        skipped += passed_over
        for file in found:
            real = os.path.realpath(file.path)
            if real in seen and len(found) == 1 and file.named:
                continue
            if not _is_text(file.id):
                reason = "its name, the document's id, is no UTF-8; rename the file"
                skipped.append(Skipped(str(file.path), reason))
                continue
            file = replace(file, source=number)
            if file.id in files:
                if os.path.realpath(files[file.id].path) == real:
                    continue
                file = replace(file, id=_as_given(file.path, source))
                if file.id in files:  # docs/a.md and ./a.md, for one
                    file = replace(file, id=file.path.absolute().as_posix().lstrip("/"))
                if file.id in files:
                    skipped.append(Skipped(str(file.path), "another file has its id"))
                    continue
            files[file.id] = file
            seen.add(real)
    return FileList(tuple(files.values()), tuple(skipped))


def _as_given(path: Path, source: KnownSource) -> str:
    """Return the path of a file as it begins where its source was given."""
    if source.given != source.path and not is_pattern(source.path):
        path = Path(source.given) / path.relative_to(source.path)
    elif source.given != source.path:
        given, full = (Path(*_fixed_parts(Path(one))) for one in (source.given, source.path))
        path = given / path.relative_to(full)
    return path.as_posix().lstrip("/")


def digest_files(
    files: Sequence[SourceFile], progress: Callable[[int], None] = lambda done: None
) -> Mapping[str, str]:
    """Return id -> digest of the bytes of every file; one that cannot be read has "".

    Two files of the same bytes have the same digest, whatever they are called; so a moved file
    is known again.
    """
    digests = {}
    for done, file in enumerate(files, start=1):
        try:
            with file.path.open("rb") as stream:
                digests[file.id] = digest_stream(stream)
        except OSError:
            digests[file.id] = ""
        progress(done)
    return digests


def digest_stream(stream: BinaryIO) -> str:
    """Return the digest of what is left of a stream: BLAKE2b, 32 hex digits."""
    digest = hashlib.blake2b(digest_size=16)
    while part := stream.read(1 << 20):
        digest.update(part)
    return digest.hexdigest()


def is_pattern(source: str) -> bool:
    """Tell whether a source that is not there is a pattern of paths."""
    return glob.has_magic(source) and not os.path.lexists(source)


def list_one(source: str | Path, options: SourceOptions) -> ListedFiles:
    """List the files of one source, and what is passed over; see `list_files`."""
    if str(source) == STDIN:
        return [SourceFile("stdin", _standard_input(), True, "standard input")], []
    path = Path(source)
    if is_pattern(str(source)):
        return _list_pattern(str(source), options)
    path.stat()  # what is not there, or a link to nothing, is called that
    if not path.is_dir():
        refuse_special(path, pipes=False)
        return [SourceFile(path.name, path, True)], []
    walk = Walk(path, options).run()
    return [SourceFile(file.relative_to(path).as_posix(), file) for file in walk.files], (
        walk.skipped
    )


def _list_pattern(pattern: str, options: SourceOptions) -> ListedFiles:
    """List what a pattern matches; ids are relative to the part of it before the first sign."""
    root = Path(*_fixed_parts(Path(pattern)))
    files: list[SourceFile] = []
    skipped: list[Skipped] = []
    among = cache(is_index)
    for name in sorted(glob.glob(pattern, recursive=True, include_hidden=options.hidden)):  # noqa: PTH207
        path = Path(name)
        if any(among(each) for each in (path, *path.parents) if root in each.parents):
            if among(path):
                skipped.append(Skipped(name, REASONS["index"], "index"))
        elif path.is_dir():
            if "**" in Path(pattern).parts:
                continue  # whose files the pattern names, or does not
            walk = Walk(path, options).run()
            files += [SourceFile(file.relative_to(root).as_posix(), file) for file in walk.files]
            skipped += walk.skipped
        elif path.is_file():
            files.append(SourceFile(path.relative_to(root).as_posix(), path))
        else:
            skipped.append(Skipped(name, "a link to nothing, or no file", "broken"))
    if not files:
        raise ValueError(f"{pattern} matches no file")
    return files, skipped


def _fixed_parts(pattern: Path) -> list[str]:
    parts: list[str] = []
    for part in pattern.parts[:-1]:
        if glob.has_magic(part):
            break
        parts.append(part)
    return parts


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


_kept_input: list[Path] = []


def _standard_input() -> Path:
    """Copy standard input, which can be read once, to a file that goes with this process."""
    if not _kept_input:
        import atexit

        with tempfile.NamedTemporaryFile(prefix="lastword-stdin-", delete=False) as file:
            path = Path(file.name)
            atexit.register(path.unlink, missing_ok=True)
            shutil.copyfileobj(sys.stdin.buffer, file)
        _kept_input.append(path)
    return _kept_input[0]
