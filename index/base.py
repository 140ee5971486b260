"""What a search of one channel gives: rows with their scores, and whose rows they are."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

NO_ROW = -1


@dataclass(frozen=True, slots=True, eq=False)
class Hits:
    """The best rows for each of q queries, best first.

    Attributes:
        rows: (q, k) int64 positions in insertion order, padded with NO_ROW.
        scores: (q, k) float32, non-increasing along axis 1, higher is better, -inf where padded.
    """

    rows: NDArray[np.int64]
    scores: NDArray[np.float32]

    def __post_init__(self) -> None:
        if self.rows.shape != self.scores.shape or self.rows.ndim != 2:
            raise ValueError(
                f"rows and scores must share one (q, k) shape; "
                f"got {self.rows.shape} and {self.scores.shape}"
            )
        if self.rows.dtype != np.int64 or self.scores.dtype != np.float32:
            raise ValueError(
                f"rows must be int64 and scores float32; got {self.rows.dtype}, {self.scores.dtype}"
            )
        if np.isnan(self.scores).any():
            raise ValueError("scores hold NaN")
        if np.any(self.scores[:, 1:] > self.scores[:, :-1]):
            raise ValueError("scores must not increase along a row")
        if np.any(np.isneginf(self.scores) != (self.rows == NO_ROW)):
            raise ValueError("rows must be NO_ROW exactly where scores are -inf")


class RowIds(Sequence[str]):
    """The document id of every row; read when it is first asked for, then remembered.

    Args:
        documents: (rows,) number of the document of each row, ascending.
        read_ids: numbers of documents, ascending -> their ids.
    """

    def __init__(
        self, documents: NDArray[np.int64], read_ids: Callable[[NDArray[np.int64]], list[str]]
    ) -> None:
        self._documents = documents
        self._read_ids = read_ids
        self._known: dict[int, str] = {}

    def __len__(self) -> int:
        return len(self._documents)

    def __getitem__(self, row: Any) -> Any:  # noqa: ANN401 - Sequence wants slices as well
        """Return the id of a row, or a list of ids for a slice."""
        if isinstance(row, slice):
            rows = range(*row.indices(len(self)))
            self.read(rows)
            return [self._known[at] for at in rows]
        if row not in self._known:
            self.read([row])
        return self._known[row]

    def of(self, rows: Sequence[int]) -> list[str]:
        """Return the ids of rows that were read, in their order."""
        return list(map(self._known.__getitem__, rows))

    def read(self, rows: Iterable[int]) -> None:
        """Read the ids of rows that will be asked for, in one go; NO_ROW is none."""
        unknown = sorted({*rows}.difference(self._known) - {NO_ROW})
        if unknown:
            self._known.update(zip(unknown, self._read_ids(self._documents[unknown]), strict=True))
