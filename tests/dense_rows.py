"""Random unit vectors with repetitions, for tests of dense search."""

import numpy as np
from numpy.typing import NDArray

from embedder.types import Representation


def unit_rows(rows: int, dim: int, seed: int = 0) -> NDArray[np.float32]:
    """Draw (rows, dim) float32 unit vectors around 20 centres."""
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(99).standard_normal((20, dim))
    drawn = centres[random.integers(20, size=rows)] + 0.7 * random.standard_normal((rows, dim))
    rows_of_length_1: NDArray[np.float32] = (
        drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
    ).astype(np.float32)
    return rows_of_length_1


def as_queries(dense: NDArray[np.float32]) -> Representation:
    """Wrap dense rows."""
    return Representation(dense, None, np.arange(len(dense)))


def brute_force(
    vectors: NDArray[np.float32],
    query: NDArray[np.float32],
    k: int,
    live: NDArray[np.bool_] | None = None,
) -> list[int]:
    """Sort all live rows by float32 score, then by row."""
    scores = (vectors.astype(np.float64) @ query.astype(np.float64)).astype(np.float32)
    rows = [row for row in range(len(vectors)) if live is None or live[row]]
    return sorted(rows, key=lambda row: (-scores[row], row))[:k]
