"""Cut pairs into batches of one topic each, so that the negatives in a batch are hard ones."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from embedder.train.data.corpus import TokenIds
from embedder.types import unit_rows


def text_vectors(texts: Sequence[TokenIds], rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return (n, dim) unit sums of token rows: a coarse view of what each text is about.

    Args:
        texts: ids of each text.
        rows: (vocabulary, dim) token vectors, longer for tokens that matter more.
    """
    starts = np.cumsum([0, *(len(text) for text in texts)])
    tokens = np.concatenate(texts).astype(np.int64)
    counts = csr_matrix(
        (np.ones(len(tokens), dtype=np.float32), tokens, starts), (len(texts), len(rows))
    )
    return unit_rows((counts @ rows).astype(np.float32))


def topical_order(
    vectors: NDArray[np.float32], size: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Order rows so that each run of `size` rows is close together.

    Halves the rows again and again at the median of the direction between two of them. Cheaper
    than clustering, and every run has the same size.

    Args:
        vectors: (n, dim); n is a multiple of size.
        size: rows per run.
        rng: picks the directions.
    """
    runs = len(vectors) // size
    if runs < 2:
        return np.arange(len(vectors))
    first, second = rng.choice(len(vectors), size=2, replace=False)
    order = np.argsort(vectors @ (vectors[first] - vectors[second]), kind="stable")
    middle = runs // 2 * size
    halves = (order[:middle], order[middle:])
    return np.concatenate([half[topical_order(vectors[half], size, rng)] for half in halves])
