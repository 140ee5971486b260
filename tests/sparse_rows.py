"""Random counts in columns far apart, and what is done with them in tests of sparse search."""

from pathlib import Path

import numpy as np
from scipy.sparse import csr_matrix

from embedder.types import Representation
from index.channels.inversion import build_inverted
from index.channels.postings import Postings
from index.channels.postings_files import open_inverted

COLUMNS = 2**62
SPREAD = 2**53 + 7  # between columns, so that no array of the width of the matrix is possible


def spread(matrix: csr_matrix) -> csr_matrix:
    """Move column i to i * SPREAD."""
    moved = matrix.indices.astype(np.int64) * SPREAD
    bounds = matrix.indptr.astype(np.int64)
    return csr_matrix((matrix.data, moved, bounds), shape=(matrix.shape[0], COLUMNS))


def counts(rows: int, columns: int, density: float, seed: int) -> csr_matrix:
    """Draw counts of 1 to 4."""
    random = np.random.default_rng(seed)
    drawn = random.integers(1, 5, (rows, columns)) * (random.random((rows, columns)) < density)
    return csr_matrix(drawn.astype(np.float32))


def ask(matrix: csr_matrix) -> Representation:
    return Representation(None, matrix, np.arange(matrix.shape[0]))


def stored(matrix: csr_matrix, folder: Path) -> Postings:
    build_inverted(spread(matrix), folder)
    return open_inverted(folder)
