"""Codes of dense rows, a byte a number: what a search reads before it scores a few rows exactly.

A row is its codes, -127 to 127, times its scale: its largest number by 127. How far the row is
from that is kept too, which bounds how far any score is from that of the codes.
"""

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from index.storage.arrays import open_array, write_array, write_rows
from index.storage.checksums import CURE
from index.storage.layout import CODES, SCALES

LARGEST_CODE = 127
_BLOCK = 1 << 12  # rows at a time
_UP = 1 + 2.0**-20  # what is rounded to float32 is rounded up


class CodeErrors(NamedTuple):
    """What bounds the error of scores.

    Attributes:
        row: largest distance of a row from its codes.
        length: length that the codes of no row exceed.
    """

    row: float
    length: float


class Int8Codes:
    """Codes of all rows of a segment.

    Attributes:
        codes: (n, dim) int8.
        scales: (n,) float32, what 1 of a row's codes is worth.
    """

    def __init__(
        self, codes: NDArray[np.int8], scales: NDArray[np.float32], path: Path = Path(SCALES)
    ) -> None:
        """Take codes.

        Args:
            codes: (n, dim).
            scales: (2, n): what 1 of a row's codes is worth, and the row's distance from them.
            path: of the scales, to be named in errors.
        """
        self.codes = codes
        self.scales = scales[0]
        self._distances = scales[1]
        self._path = path

    @cached_property
    def errors(self) -> CodeErrors:
        """What bounds the error of scores.

        Raises:
            ValueError: the scales are damaged.
        """
        largest = [float(part.max(initial=0)) for part in (self._distances, self.scales)]
        smallest = min(float(part.min(initial=0)) for part in (self._distances, self.scales))
        if not (smallest >= 0 and np.isfinite(largest).all()):
            raise ValueError(f"{self._path} is damaged: scales are not finite; {CURE}")
        length = LARGEST_CODE * largest[1] * np.sqrt(self.codes.shape[1])
        return CodeErrors(largest[0], float(length))


def write_codes(vectors: NDArray[np.float32], folder: Path) -> None:
    """Write the codes of (n, dim) rows, which may be memory-mapped."""
    scales = np.zeros((2, len(vectors)), np.float32)
    write_rows(folder / CODES, np.int8, vectors.shape, _coded(vectors, scales))
    write_array(folder / SCALES, scales)


def open_codes(folder: Path, shape: tuple[int, ...]) -> Int8Codes:
    """Memory-map what `write_codes` wrote for rows of a shape.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: a file is damaged.
    """
    codes = open_array(folder / CODES, np.int8, shape)
    path = folder / SCALES
    return Int8Codes(codes, open_array(path, np.float32, (2, shape[0])), path)


def _coded(vectors: NDArray[np.float32], scales: NDArray[np.float32]) -> Iterator[NDArray[np.int8]]:
    """Yield codes block by block, and write scales and distances, (2, n)."""
    for start in range(0, len(vectors), _BLOCK):
        part = slice(start, start + _BLOCK)
        rows = vectors[part].astype(np.float64)
        with np.errstate(all="ignore"):  # rows that are no numbers have no distance: see `errors`
            worth = (np.abs(rows).max(axis=1, initial=0) / LARGEST_CODE).astype(np.float32)
            codes = np.rint(rows / np.where(worth > 0, worth, 1)[:, None])
            codes = np.nan_to_num(codes).clip(-LARGEST_CODE, LARGEST_CODE)
            distances = np.linalg.norm(rows - codes * worth[:, None].astype(np.float64), axis=1)
        scales[0, part], scales[1, part] = worth, distances * _UP
        yield codes.astype(np.int8)
