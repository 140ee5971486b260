"""The file in which an index remembers where its documents came from; who reads it writes it.

Beside it stands which such files were written in this place: inode, size and times, which a copy
does not have and whoever makes an archive cannot choose. So an index that somebody else made
cannot name files of its new owner for reading.
"""

import hashlib
import json
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from embedder.files.durable import replace_file
from embedder.files.identity import identity_of
from index.storage.checksums import CURE, FileRecord, open_own

_NAME = re.compile(r"sources-[0-9a-f]{32}\.json")
_HERE = "sources-here.json"
_LONGEST = 1 << 20  # bytes of that
_DIGEST = re.compile(r"[0-9a-f]{64}")


def sources_name(record: FileRecord) -> str:
    """Return the name of the file that a record is of.

    Raises:
        ValueError: it is of none.
    """
    if record.bytes < 0 or not _DIGEST.fullmatch(record.digest):
        raise ValueError("no file of sources is as it is said to be")
    return f"sources-{record.digest[:32]}.json"


def write_sources(folder: Path, data: bytes) -> FileRecord:
    """Write the file under a name that its content gives; others stay.

    Raises:
        OSError: it cannot be written.
    """
    record = FileRecord(len(data), hashlib.blake2b(data, digest_size=32).hexdigest())
    name = sources_name(record)
    replace_file(folder / name, data)
    here = {each: facts for each, facts in _written_here(folder).items() if each != name}
    here = {each: facts for each, facts in here.items() if facts == _facts(folder / each)}
    rows = json.dumps({**here, name: _facts(folder / name)})
    replace_file(folder / _HERE, f"{rows}\n".encode())
    return record


def are_of_here(folder: Path, record: FileRecord) -> bool:
    """Tell whether the file was written in this folder, and not copied or unpacked into it."""
    name = sources_name(record)
    return bool(_written_here(folder).get(name, []) == _facts(folder / name))


def _written_here(folder: Path) -> dict[str, Any]:
    try:
        with open_own(folder / _HERE) as file:
            rows = json.loads(file.read(_LONGEST))
    except (OSError, ValueError, RecursionError):
        return {}
    known = rows.items() if isinstance(rows, dict) else ()
    return {name: facts for name, facts in known if _NAME.fullmatch(name)}


def _facts(path: Path) -> list[int] | None:
    """Return what tells a file from its copies; devices are numbered anew at each start."""
    try:
        return list(identity_of(path.lstat())[1:])
    except OSError:
        return None


def read_sources(folder: Path, record: FileRecord) -> bytes:
    """Read the file.

    Raises:
        OSError: it is missing or cannot be read.
        ValueError: it is damaged.
    """
    path = folder / sources_name(record)
    record.check_size(path)
    with open_own(path) as file:
        data = file.read(record.bytes + 1)
    if hashlib.blake2b(data, digest_size=32).hexdigest() != record.digest:
        raise ValueError(f"{path} is damaged: its checksum does not fit; {CURE}")
    return data


def damaged_sources(folder: Path, record: FileRecord | None) -> list[str]:
    """Say in words what is wrong with the file; nothing where it is sound, or there is none."""
    try:
        if record is not None:
            read_sources(folder, record)
    except (FileNotFoundError, ValueError) as error:
        return [str(error)]
    return []


def is_sources_name(name: str) -> bool:
    """Tell whether a file has a name that is given here."""
    return name == _HERE or bool(_NAME.fullmatch(name))


def remove_other_sources(folder: Path, kept: Iterable[FileRecord | None]) -> int:
    """Remove files of sources that no record names; return bytes freed."""
    names = {sources_name(record) for record in kept if record is not None}
    freed = 0
    for entry in os.scandir(folder):
        ours = _NAME.fullmatch(entry.name) and entry.name not in names
        if ours and not entry.is_dir(follow_symlinks=False):
            freed += entry.stat(follow_symlinks=False).st_size
            (folder / entry.name).unlink()
    return freed
