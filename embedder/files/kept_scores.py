"""Scores that earlier runs left: what was scored once costs nothing again.

A score is kept under 32 hex digits that stand for all that it hangs on. A file of scores is read
whole or not at all: it says how many it holds, and what their digest is.
"""

import hashlib
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path

from embedder.files.durable import replace_file

MOST = 200_000  # scores of a file; the oldest go
_MOST_BYTES = 64 * MOST
_HEAD = re.compile(rb"lastword scores 1 ([0-9a-f]{64}) ([0-9]{1,6})")
_LINE = re.compile(rb"([0-9a-f]{32}) ([0-9](?:\.[0-9]{1,20})?(?:e-[0-9]{1,3})?)")


class EarlierScores:
    """Scores by their digests: those that a run began with, and what it adds.

    Attributes:
        digest: of the scores that were there; "" without any.
        given: how many of them somebody was given.
        added: scores that were not there.
    """

    def __init__(self, scores: Mapping[str, float] | None = None) -> None:
        """Take scores in 0..1, the oldest first; of too many the last are kept."""
        self._scores = dict(list((scores or {}).items())[-MOST:])
        lines = "".join(f"{key} {score!r}\n" for key, score in self._scores.items())
        self._body = lines.encode()
        self.digest = hashlib.sha256(self._body).hexdigest() if self._scores else ""
        self.given = 0
        self.added: dict[str, float] = {}

    def take(self, key: str) -> float | None:
        """Return a score that was there at the beginning; None where there is none."""
        score = self._scores.get(key)
        self.given += score is not None
        return score

    def add(self, key: str, score: float) -> None:
        """Keep a score in 0..1 for later runs; this one is not given it."""
        if key not in self._scores and 0 <= score <= 1:
            self.added[key] = float(score)

    def joined(self, added: Mapping[str, float]) -> "EarlierScores":
        """Return the scores that were there, and others."""
        return EarlierScores({**self._scores, **added})

    def write(self, path: Path) -> None:
        """Write the scores that were there at the beginning.

        Raises:
            OSError: the file cannot be written.
        """
        head = f"lastword scores 1 {self.digest} {len(self._scores)}\n"
        replace_file(path, head.encode() + self._body)


def read_scores(path: Path) -> EarlierScores:
    """Read a file of scores; none where there is no file.

    Raises:
        ValueError: it is damaged, or no file of scores.
        OSError: it cannot be read, or is a link.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return EarlierScores()
    with os.fdopen(handle, "rb") as file:
        regular = stat.S_ISREG(os.fstat(handle).st_mode)
        data = file.read(_MOST_BYTES + 1) if regular else b""
    first, _, body = data.partition(b"\n")
    head = _HEAD.fullmatch(first)
    lines = body.split(b"\n")[:-1]
    found = [match for line in lines if (match := _LINE.fullmatch(line))]
    values = {match[1].decode(): float(match[2]) for match in found}
    scores = EarlierScores(values)
    told = (head[1].decode(), int(head[2])) if head else ("", -1)
    if told != (scores.digest, len(lines)) or not 0 <= max(values.values(), default=2) <= 1:
        raise ValueError(f"{path} does not hold the scores that a run wrote")
    return scores
