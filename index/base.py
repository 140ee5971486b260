"""What a search of one channel of one segment takes and gives."""

from dataclasses import dataclass

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
