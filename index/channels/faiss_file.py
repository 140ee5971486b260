"""A FAISS file of a segment, opened with it and mapped when first searched."""

from pathlib import Path
from threading import Lock
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from index.base import NO_ROW
from index.channels.approximate import read, search
from index.storage.checksums import CURE, FileRecord, open_own


class FaissFile:
    """A FAISS file, opened at once, compared with its checksum and mapped when first searched.

    An index that is only added to, or searched by another channel, need not be read; and a file
    that is held open outlives its name, should a merge remove it.
    """

    def __init__(
        self, path: Path, factory: str, shape: tuple[int, ...], record: FileRecord | None
    ) -> None:
        self._path = path
        self._factory = factory
        self._shape = shape
        self._record = record
        self._file: BinaryIO = open_own(path)
        self._lock = Lock()
        self._index: Any = None

    def close(self) -> None:
        """Close the file, which may not have been read."""
        with self._lock:
            self._file.close()

    def candidates(
        self, queries: NDArray[np.float32], k: int, live: NDArray[np.bool_] | None
    ) -> NDArray[np.int64]:
        """Return (q, k or more) rows, see `approximate.search`.

        Raises:
            ValueError: the file is damaged, or FAISS is not installed.
        """
        with self._lock:
            if self._index is None:
                self._index = self._read()
        rows = search(self._index, self._factory, queries, k, live)
        if rows.size and not NO_ROW <= rows.min() <= rows.max() < self._shape[0]:
            raise ValueError(f"{self._path} names rows that there are not; {CURE}")
        return rows

    def _read(self) -> Any:  # noqa: ANN401
        if self._record is not None:
            self._record.check_open(self._file, self._path)
        loaded = read(self._file, self._path, self._factory)
        self._file.close()
        if (loaded.ntotal, loaded.d) != self._shape:
            raise ValueError(
                f"{self._path} holds {loaded.ntotal} {loaded.d}-d vectors; expected "
                f"{self._shape[0]} {self._shape[1]}-d: build the index again"
            )
        return loaded
