"""Read training pairs from JSON lines one at a time, in any order, however large the files."""

import hashlib
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from embedder.files.config_file import parse_json
from embedder.files.durable import replacing
from embedder.files.lines import (
    PACKED,
    decode_line,
    open_binary,
    raw_lines,
    refuse_special,
    shorten,
)


@dataclass(frozen=True, slots=True)
class TrainingPair:
    """A query, a passage that answers it, and passages that do not."""

    query: str
    positive: str
    negatives: tuple[str, ...] = ()


class PairFiles:
    """The pairs of several files, numbered through.

    Only where each line begins is held in memory. Packed files cannot be read from the middle,
    so they are unpacked into a folder first.

    Attributes:
        digest: 16 hex digits of all bytes.
    """

    def __init__(self, paths: Sequence[Path], unpacked: Path) -> None:
        """Go through the files once and check every line.

        Args:
            paths: plain, .gz or .xz; each line an object with `query`, `positive` and perhaps
                `negatives`, a list. Other keys do not matter; blank lines neither.
            unpacked: folder for what packed files hold.

        Raises:
            ValueError: a line is no pair; names file and line.
            OSError: a file cannot be read.
        """
        digest, starts, counts = hashlib.sha256(), [], []
        self._files: list[BinaryIO] = []
        for number, path in enumerate(paths):
            file = _plain(path, unpacked / f"pairs-{number}.jsonl").open("rb")
            self._files.append(file)
            line_starts = np.fromiter(_scan(file, path, digest.update), dtype=np.int64)
            if not len(line_starts):
                raise ValueError(f"{path} holds no pairs")
            starts.append(line_starts)
            counts.append(len(line_starts))
        self._starts: NDArray[np.int64] = np.concatenate(starts)
        self._firsts = np.concatenate([[0], np.cumsum(counts)])
        self.digest = digest.hexdigest()[:16]

    def __len__(self) -> int:
        return len(self._starts)

    def __getitem__(self, number: int) -> TrainingPair:
        file_number = int(np.searchsorted(self._firsts, number, side="right")) - 1
        file = self._files[file_number]
        file.seek(self._starts[number])
        return _pair(decode_line(file.readline(), "pair"), "pair")

    def close(self) -> None:
        """Close the files."""
        for file in self._files:
            file.close()


def _plain(path: Path, unpacked: Path) -> Path:
    """Return the file, or a copy that can be read from the middle."""
    if path.suffix not in PACKED:
        refuse_special(path)
        return path
    with open_binary(path) as packed, replacing(unpacked) as plain:
        shutil.copyfileobj(packed, plain)
    return unpacked


def _scan(file: BinaryIO, path: Path, see: Callable[[bytes], None]) -> Iterator[int]:
    """Yield where each pair begins, showing all bytes to `see`."""
    at = 0
    for number, line in enumerate(raw_lines(file, path), 1):
        see(line)
        place = f"{path}:{number}"
        text = decode_line(line, place)
        if text.strip():
            _pair(text, place)
            yield at
        at += len(line)


def _pair(line: str, place: str) -> TrainingPair:
    record = parse_json(line, f"{place} is no pair", finite=False, encodable=True)
    if not isinstance(record, dict):
        raise ValueError(f"{place} is no pair: expected an object with query and positive")
    for key in ("query", "positive"):
        if not isinstance(record.get(key), str) or not record[key].strip():
            raise ValueError(
                f"{place} is no pair: {key} must be a text that is not empty; "
                f"got {shorten(record.get(key))}"
            )
    negatives = record.get("negatives") or []
    if not isinstance(negatives, list) or not all(isinstance(text, str) for text in negatives):
        raise ValueError(f"{place} is no pair: negatives must be a list of texts")
    return TrainingPair(
        record["query"], record["positive"], tuple(text for text in negatives if text.strip())
    )
