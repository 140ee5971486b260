"""What makes files last: one opener for writing, replacement in one step, no leftovers.

Nothing here writes through a link: a link that somebody planted, or that an archive brought along,
leads to files that are not ours. Half-written files have names that nobody can foresee,
`.lastword-HEX.partial`, and are locked by their writer; what a killed process left of that form is
removed by the next one that writes to the same folder.
"""

import errno
import fcntl
import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

_PARTIAL = re.compile(r"\.lastword-[0-9a-f]{16}\.partial")
_LINK = "a link, and nothing is written through links"
_NO_FILE = "a pipe or a device, not a file"
_OF_RUST = re.compile(r"\(os error (\d{1,4})\)|Os \{ code: (\d{1,4})")
_swept: set[tuple[int, str]] = set()  # folders that this process has looked for leftovers in


def flush(path: Path) -> None:
    """Have the disk keep a file's contents, or a folder's list of names."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:  # some file systems keep names without being told
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(handle)


def open_plain(path: Path, flags: int) -> int:
    """Open or make a regular file for writing, never through a link; return its descriptor.

    Args:
        path: its folder exists.
        flags: of `os.open`, besides those for making it and for refusing links.

    Raises:
        OSError: it is a link, a folder, a pipe or a device, or it cannot be written.
    """
    always = os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        handle = os.open(path, flags | always, 0o666)
    except OSError as error:
        if path.is_symlink() and not flags & os.O_EXCL:
            raise OSError(errno.ELOOP, _LINK, str(path)) from error
        raise
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(errno.EINVAL, _NO_FILE, str(path))
    return handle


def open_new(path: Path) -> BinaryIO:
    """Make a file that must not be there yet, and open it for writing.

    Raises:
        FileExistsError: something of that name is there, a link among them.
        OSError: it cannot be made.
    """
    # Not a BufferedWriter: NumPy writes to those past Python, and then a full disk is not told
    # from other errors.
    return os.fdopen(open_plain(path, os.O_RDWR | os.O_EXCL), "w+b")


def open_append(path: Path) -> BinaryIO:
    """Open or make a file to append to, for journals and logs; never through a link.

    Raises:
        OSError: it is a link or no regular file, or it cannot be written.
    """
    return os.fdopen(open_plain(path, os.O_WRONLY | os.O_APPEND), "ab")


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Give a file to write to, which takes the place of `path` in one step when the block ends.

    At every moment and after every crash `path` is the old or the new; after an error it is the
    old, and nothing is left over.

    Args:
        path: its folder exists.

    Raises:
        OSError: `path` is a link, a folder, a pipe or a device, or cannot be written; the error
            names it.
    """
    _check_target(path)
    _sweep(path.parent)
    with naming(path):
        file, partial = _open_partial(path.parent)
        try:
            yield file
            file.flush()
            os.fsync(file.fileno())
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
            with suppress(OSError):  # what could not be written is not written now either
                file.close()
        flush(path.parent)


def replace_file(path: Path, data: bytes) -> None:
    """Write a file so that it is, at every moment and after every crash, the old or the new."""
    with replacing(path) as file:
        file.write(data)


def create_file(path: Path, data: bytes) -> None:
    """Write a file that must not be there yet.

    Raises:
        FileExistsError: something of that name is there, a link among them.
        OSError: it cannot be written; nothing is left of it.
    """
    with naming(path), open_new(path) as file:
        try:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        except BaseException:
            path.unlink(missing_ok=True)
            raise
    flush(path.parent)


@contextmanager
def filling(folder: Path) -> Iterator[Path]:
    """Give an empty folder, whose files take their places in `folder` when the block ends.

    For libraries that write by path, leave half-written files or choose a mode of their own. Each
    file is replaced in one step, its mode is what new files have.

    Args:
        folder: exists.

    Raises:
        OSError: something cannot be written, or a folder in `folder` is a link.
    """
    _sweep(folder)
    with naming(folder):
        handle, partial = _open_partial_folder(folder)
        try:
            with _translating(folder):
                yield partial
            _move(partial, folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
            os.close(handle)
    flush(folder)


def remove_leftovers(folder: Path) -> int:
    """Remove what killed processes left half-written in a folder; return its bytes.

    Only what has the form that `replacing` and `filling` make is removed, and of that only what
    no living process holds.
    """
    freed = 0
    try:
        names = [entry.name for entry in folder.iterdir() if _PARTIAL.fullmatch(entry.name)]
    except OSError:  # whoever writes there will say what is wrong with it
        return 0
    for name in names:
        path = folder / name
        with suppress(OSError):  # it is held, gone already, or not ours to remove
            handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            try:
                facts = os.fstat(handle)
                if stat.S_ISREG(facts.st_mode) or stat.S_ISDIR(facts.st_mode):
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    freed += remove_tree(path)
            finally:
                os.close(handle)
    return freed


def is_partial(name: str) -> bool:
    """Tell whether a file or folder has the name of something half-written."""
    return bool(_PARTIAL.fullmatch(name))


def remove_tree(path: Path) -> int:
    """Remove a file, or a folder with all in it, never through a link; return bytes freed."""
    facts = path.lstat()
    if not stat.S_ISDIR(facts.st_mode):
        path.unlink()
        return facts.st_size if stat.S_ISREG(facts.st_mode) else 0
    within = [Path(at) / name for at, _, names in os.walk(path) for name in names]
    freed = sum(entry.lstat().st_size for entry in within if not entry.is_symlink())
    shutil.rmtree(path)
    return freed


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Have errors of the system that name no file, or a half-written one, name `path`."""
    try:
        yield
    except OSError as error:
        name = Path(str(error.filename or "")).name
        if error.errno is None or not (error.filename is None or _PARTIAL.fullmatch(name)):
            raise
        raise OSError(error.errno, os.strerror(error.errno), str(path)) from error


@contextmanager
def _translating(folder: Path) -> Iterator[None]:
    """Have errors of the system that a library in Rust wraps into its own be OSErrors again."""
    try:
        yield
    except OSError:
        raise
    except Exception as error:
        code = _OF_RUST.search(str(error))
        if code is None:
            raise
        number = int(code[1] or code[2])
        raise OSError(number, os.strerror(number), str(folder)) from error


def _sweep(folder: Path) -> None:
    """Remove leftovers, once for each folder and process."""
    if (os.getpid(), str(folder)) not in _swept:
        _swept.add((os.getpid(), str(folder)))
        remove_leftovers(folder)


def _partial_name() -> str:
    return f".lastword-{secrets.token_hex(8)}.partial"


def _move(partial: Path, folder: Path) -> None:
    """Give every file under `partial` its place under `folder`, and the mode of a new file."""
    probe = partial / _partial_name()
    with open_new(probe) as file:
        mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
    probe.unlink()
    places = {path: folder / path.relative_to(partial) for path in sorted(partial.rglob("*"))}
    for path, place in places.items():  # all of them, before the first one is replaced
        _check_target(place, folder=path.is_dir())
    for path, place in places.items():
        if path.is_dir():
            place.mkdir(exist_ok=True)
            _check_target(place, folder=True)
            continue
        path.chmod(mode)
        flush(path)
        path.replace(place)


def _open_partial(folder: Path) -> tuple[BinaryIO, Path]:
    """Make a file of a name that nobody can foresee, and lock it."""
    while True:
        partial = folder / _partial_name()
        file = open_new(partial)
        with suppress(OSError):  # a file system without locks: leftovers stay there
            fcntl.flock(file.fileno(), fcntl.LOCK_EX)
        if os.fstat(file.fileno()).st_nlink:
            return file, partial
        file.close()  # taken for a leftover before it was locked


def _open_partial_folder(folder: Path) -> tuple[int, Path]:
    """Make a folder as `_open_partial` makes a file; return its descriptor too."""
    while True:
        partial = folder / _partial_name()
        partial.mkdir()
        with suppress(FileNotFoundError):
            handle = os.open(partial, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            with suppress(OSError):
                fcntl.flock(handle, fcntl.LOCK_EX)
            if partial.exists():
                return handle, partial
            os.close(handle)


def _check_target(path: Path, folder: bool = False) -> None:
    """Refuse what is there and no file, or no folder: a link may be of use, or a device."""
    if not os.path.lexists(path):
        return
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        raise OSError(errno.ELOOP, _LINK, str(path))
    if folder != stat.S_ISDIR(mode):
        wrong = errno.ENOTDIR if folder else errno.EISDIR
        raise OSError(wrong, os.strerror(wrong), str(path))
    if not folder and not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, _NO_FILE, str(path))
