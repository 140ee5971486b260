"""Whether files of sources have changed: a look now and then, which works on every file system."""

import hashlib
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from embedder.files.identity import identity_of
from index.manifest_file import read_manifest
from retrieval.sources.ledger import KnownSource
from retrieval.sources.listing import list_one
from retrieval.sync.lists import choose_sources
from retrieval.sync.options import SyncOptions

_BURST = 15  # looks after which edits that do not end are taken as they are
_SHARE = 10  # of the time that a look takes, so often is the pause until the next


def look_at(path: Path, given: Sequence[KnownSource]) -> str:
    """Return a digest of which files the sources of an index have, and of their identities.

    Args:
        path: folder of the index.
        given: sources, as for `sync_index`.
    """
    chosen = choose_sources(path, read_manifest(path).sources, given, SyncOptions())
    digest = hashlib.blake2b(digest_size=16)
    for source in (chosen.sources[number] for number in sorted(chosen.looked_at)):
        try:
            files, _ = list_one(source.path, source.options)
        except (OSError, ValueError) as error:  # it is away, and may come back
            digest.update(str(error).encode("utf-8", "replace"))
            continue
        for file in files:
            digest.update(str(file.path).encode("utf-8", "surrogateescape"))
            with suppress(OSError):
                digest.update(repr(identity_of(file.path.stat())).encode())
    return digest.hexdigest()


def wait_for_change(
    look: Callable[[], str],
    before: str,
    interval: float,
    sleep: Callable[[float], object] = time.sleep,
) -> str:
    """Wait until a look differs from one before and has come to rest; return it.

    A burst of edits ends when two looks are the same; edits that go on and on are not waited for.

    Args:
        look: gives what is compared.
        before: what it gave.
        interval: seconds between two looks, at least; a slow look pauses longer.
        sleep: pauses.
    """
    last, burst = before, 0
    while True:
        started = time.monotonic()
        now = look()
        if now != before and (now == last or burst >= _BURST):
            return now
        burst = burst + 1 if now != before else 0
        last = now
        sleep(max(interval, _SHARE * (time.monotonic() - started)))
