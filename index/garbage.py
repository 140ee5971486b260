"""What may be removed from an index folder: files of the names that are given here, no others.

A name is all that tells our files from those that somebody put there, so folders are emptied name
by name and stay where something else is in them. Links are never followed.
"""

import re
import stat
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path

from embedder.files.durable import is_partial, remove_leftovers
from index.manifest_file import MANIFEST
from index.segment_record import SegmentRecord
from index.storage.layout import CACHED, CHANNEL, OF_SEGMENT, SEGMENT, TOMBSTONE, is_of_channel
from index.storage.milvus_address import refuse_milvus
from index.storage.remembered import is_sources_name

_OLD_PARTIAL = re.compile(r"tmp[a-z0-9_]{8}\.part")  # of encodings, by versions before


def make_folder(path: Path, ours: Iterable[str]) -> None:
    """Make the folder of a new index, unless something else lies there.

    Args:
        path: of it.
        ours: names that an index may have there before its first commit.

    Raises:
        ValueError: there is an index already, or something that is not ours; or Milvus is named.
        OSError: it cannot be made.
    """
    refuse_milvus(path)
    path.mkdir(parents=True, exist_ok=True)
    there = {entry.name for entry in path.iterdir()}
    if MANIFEST in there:
        raise ValueError(f"there is an index at {path} already; give another folder")
    foreign = sorted(
        name for name in there - {*ours} if not (is_partial(name) or is_sources_name(name))
    )
    if foreign:
        raise ValueError(f"{path} is not empty: it holds {foreign[0]!r}; give a folder of its own")


def remove_unnamed(
    folder: Path, committed: Iterable[SegmentRecord], staged: Iterable[SegmentRecord]
) -> int:
    """Remove segments that no record names, and tombstones that the committed ones do not name.

    Args:
        folder: of all segments.
        committed: segments of the last commit.
        staged: segments that are perhaps of the next.

    Returns:
        Bytes freed.
    """
    records = {record.name: record for record in committed}
    staged_names = {record.name for record in staged}
    freed = 0
    for path in _entries(folder):
        if not _is_folder(path) or not SEGMENT.fullmatch(path.name):
            continue
        if path.name not in records:
            freed += 0 if path.name in staged_names else remove_segment(path)
            continue
        freed += _remove(path, partial(_is_old_tombstone, records[path.name]))
    return freed


def remove_segment(folder: Path) -> int:
    """Remove a segment's files, and its folders where that empties them; return bytes freed."""
    freed = 0
    for path in _entries(folder):
        if _is_folder(path) and CHANNEL.fullmatch(path.name):
            freed += _remove(path, is_of_channel)
            _remove_empty(path)
    freed += _remove(folder, lambda name: name in OF_SEGMENT or bool(TOMBSTONE.fullmatch(name)))
    _remove_empty(folder)
    return freed


def remove_cache(folder: Path) -> int:
    """Remove encodings of a build that is complete; return bytes freed."""
    if not _is_folder(folder):
        return 0
    freed = _remove(folder, lambda name: any(f.fullmatch(name) for f in (CACHED, _OLD_PARTIAL)))
    _remove_empty(folder)
    return freed


def _is_old_tombstone(record: SegmentRecord, name: str) -> bool:
    return bool(TOMBSTONE.fullmatch(name)) and name not in record.files


def _entries(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if _is_folder(folder) else []


def _is_folder(path: Path) -> bool:
    """Tell whether a path is a folder and no link to one."""
    return path.is_dir() and not path.is_symlink()


def _remove(folder: Path, is_ours: Callable[[str], bool]) -> int:
    """Remove the files of a folder whose names are ours; return bytes freed."""
    freed = remove_leftovers(folder)
    for path in _entries(folder):
        if is_ours(path.name):
            facts = path.lstat()
            if not stat.S_ISDIR(facts.st_mode):
                path.unlink()
                freed += facts.st_size
    return freed


def _remove_empty(folder: Path) -> None:
    with suppress(OSError):
        folder.rmdir()
