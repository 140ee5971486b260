"""Which ids may be in segments that were written here: asked before any file is."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


class WrittenIds:
    """Hashes of the ids of segments, eight bytes each; most ids that are asked for have none.

    A build asks for every id whether an earlier segment has it. To ask the files would take time
    that grows with the square of the documents.

    Attributes:
        segments: names of those whose ids are known.
    """

    def __init__(self) -> None:
        self.segments: set[str] = set()
        self._sorted: list[NDArray[np.int64]] = []  # each shorter than the one before

    def add(self, segment: str, ids: Sequence[str]) -> None:
        """Take the ids of a segment in; n segments of one size are sorted log n times."""
        self.segments.add(segment)
        hashes = np.sort(_hashes(ids))
        while self._sorted and len(self._sorted[-1]) <= len(hashes):
            hashes = np.sort(np.concatenate([self._sorted.pop(), hashes]), kind="stable")
        self._sorted.append(hashes)

    def possible(self, ids: Sequence[str]) -> list[str]:
        """Return every id that a segment has, and by chance one in 2**64 of others, in order."""
        asked = _hashes(ids)
        found = np.zeros(len(asked), np.bool_)
        for part in self._sorted:
            if len(part):
                places = np.searchsorted(part, asked)
                found |= part[np.minimum(places, len(part) - 1)] == asked
        return [ids[at] for at in np.flatnonzero(found).tolist()]


def _hashes(ids: Sequence[str]) -> NDArray[np.int64]:
    return np.fromiter(map(hash, ids), np.int64, len(ids))
