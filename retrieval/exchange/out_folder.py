"""The folder that an export is written to: made where it is missing, filled whole or not at all."""

import errno
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from embedder.files.durable import filling
from index.manifest_file import MANIFEST


def refuse_replacing(folder: Path, overwrite: bool) -> None:
    """Refuse a folder that cannot be written to, or not without replacing; before any work.

    Raises:
        OSError: it is a link or a file.
        ValueError: it is not empty, and `overwrite` is not set; or it is an index.
    """
    if folder.is_symlink():
        raise OSError(errno.ELOOP, "a link, and nothing is written through links", str(folder))
    if os.path.lexists(folder) and not folder.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, "a file; an export is a folder", str(folder))
    if (folder / MANIFEST).is_file():
        raise ValueError(f"{folder} is an index, which an export must not be mixed with")
    if folder.is_dir() and any(folder.iterdir()) and not overwrite:
        raise ValueError(
            f"{folder} is not empty; give a folder of its own, or have files of the same names "
            "replaced (--overwrite)"
        )


def fill_folder(folder: Path, write: Callable[[Path], object]) -> tuple[str, ...]:
    """Have files written into a folder, which is made; return their paths."""
    made = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with filling(folder) as partial:
            write(partial)
            files = [file.relative_to(partial) for file in partial.rglob("*") if file.is_file()]
    except BaseException:
        if made:
            with suppress(OSError):  # something else is in it by now
                folder.rmdir()
        raise
    return tuple(str(folder / name) for name in sorted(files))
