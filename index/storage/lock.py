"""The lock of the one writer of a folder, such as an index."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from embedder.files.durable import naming, open_plain


@contextmanager
def only_writer(
    path: Path, advice: str = "an index has one writer at a time: wait until it ends"
) -> Iterator[None]:
    """Hold the lock file at `path`; the kernel drops it however the process ends.

    Args:
        path: of the lock file; what is locked is its folder.
        advice: said to whoever finds it locked.

    Raises:
        BlockingIOError: another writer holds it.
        OSError: it is a link or no regular file, or it cannot be made.
    """
    handle = open_plain(path, os.O_RDWR)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(handle, 32, 0).decode("ascii", "replace").strip()
            raise BlockingIOError(
                f"{path.parent} is being written by process {holder or 'unknown'}; {advice}"
            ) from None
        with naming(path):  # a full disk, which the kernel tells without a name
            os.ftruncate(handle, 0)
            os.pwrite(handle, str(os.getpid()).encode(), 0)
        try:
            yield
        finally:
            os.ftruncate(handle, 0)
    finally:
        os.close(handle)  # and with it the lock
