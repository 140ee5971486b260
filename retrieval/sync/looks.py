"""Digests of files, and which of them can be taken from the last look at a file.

Whoever looked at a file leaves its identity - place, size and times - with its digest beside the
index. Where the identity is as it was, the digest is taken as it was: the time of the inode
changes with every write and cannot be set back by tools that keep times, such as rsync and cp -p.
A file that had changed within the last seconds before it was looked at is not trusted so, since
one time stamp may stand for two writes.
"""

import json
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from embedder.files.durable import replace_file
from embedder.files.identity import identity_of
from index.storage.checksums import open_own
from retrieval.sources.listing import SourceFile, digest_stream

LOOKS = "sources-seen.json"
_SETTLED = 2_000_000_000  # nanoseconds; file systems have ticks of up to two seconds
_LONGEST = 1 << 28  # bytes
_Look = tuple[tuple[int, ...], str]


class FileLooks:
    """Takes digests of files, no oftener than needed.

    Args:
        folder: of the index.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / LOOKS
        self._before = _read(self._path)
        self._now: dict[str, _Look] = {}

    def digest(self, file: SourceFile) -> str:
        """Return the digest of a file as it is now; "" where it cannot be read."""
        try:
            facts = file.path.stat()
            identity, name = identity_of(facts), str(file.path)
            known = self._before.get(name)
            if known is not None and known[0] == identity:
                self._now[name] = known
                return known[1]
            looked_at = time.time_ns()
            with file.path.open("rb") as stream:
                digest = digest_stream(stream)
        except OSError:
            return ""
        if max(facts.st_mtime_ns, facts.st_ctime_ns) < looked_at - _SETTLED:
            self._now[name] = identity, digest
        return digest

    def keep(self) -> None:
        """Leave the looks for the next time; where that fails, files are read again then."""
        if self._now != self._before:
            rows = {name: [*identity, digest] for name, (identity, digest) in self._now.items()}
            with suppress(OSError):
                replace_file(self._path, (json.dumps(rows) + "\n").encode())


def _read(path: Path) -> Mapping[str, _Look]:
    try:
        with open_own(path) as file:
            rows = json.loads(file.read(_LONGEST))
        return {name: (tuple(map(int, row[:-1])), str(row[-1])) for name, row in rows.items()}
    except (OSError, ValueError, TypeError, AttributeError, LookupError, RecursionError):
        return {}
