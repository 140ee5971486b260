"""First directions of tokens: what stands near them, counted over the corpus."""

import math
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from embedder.train.data.corpus import TokenizedTexts

if TYPE_CHECKING:
    from torch import Tensor

WINDOW = 24  # tokens that count as near each other
WINDOWS_AT_ONCE = 400_000
RAREST = 2  # pairs seen less often are chance
CONTEXT_POWER = 0.75  # smooths how often a token stands near others, against rare ones
SPARE = 40  # random directions more than asked for, for accuracy
ROUNDS = 3  # of power iteration


def near_directions(
    passages: TokenizedTexts, vocabulary: int, dim: int, rng: np.random.Generator
) -> "Tensor":
    """Factorise the positive pointwise mutual information of tokens within a window.

    Levy, Goldberg and Dagan (TACL 2015), with symmetric square-root weights and smoothed
    contexts; the factors by randomised power iteration (Halko, Martinsson and Tropp, 2011).

    Args:
        passages: token ids.
        vocabulary: number of tokens; takes 8 bytes times its square of memory.
        dim: units of a direction.
        rng: of the iteration's start, and of the noise without which a token that is near
            nothing would have no direction.

    Returns:
        (vocabulary, dim) float32 rows of about unit length.
    """
    import torch
    from torch.nn.functional import normalize

    matrix = torch.from_numpy(_information(_pairs(passages, vocabulary)))
    rank = min(dim + SPARE, vocabulary)
    start = rng.standard_normal((vocabulary, rank), dtype=np.float32)
    basis = torch.linalg.qr(matrix @ torch.from_numpy(start))[0]
    for _ in range(ROUNDS):
        basis = torch.linalg.qr(matrix.T @ basis)[0]
        basis = torch.linalg.qr(matrix @ basis)[0]
    left, strength, _ = torch.linalg.svd(basis.T @ matrix, full_matrices=False)
    directions = ((basis @ left) * strength.sqrt())[:, :dim]
    noise = 0.1 * rng.standard_normal((vocabulary, dim), dtype=np.float32) / math.sqrt(dim)
    noise[:, : directions.shape[1]] += normalize(directions, dim=1).numpy()
    return torch.from_numpy(noise)


def _pairs(passages: TokenizedTexts, vocabulary: int) -> NDArray[np.float32]:
    """Count in how many windows two different tokens stand together: (vocabulary, vocabulary)."""
    from scipy.sparse import csr_matrix

    lengths = np.diff(passages.starts)
    place = np.arange(len(passages.tokens)) - np.repeat(passages.starts[:-1], lengths)
    window = np.cumsum(place % WINDOW == 0) - 1
    counts = np.zeros((vocabulary, vocabulary), dtype=np.float32)
    last = int(window[-1]) + 1 if len(window) else 0
    cuts = np.searchsorted(window, np.arange(0, last + WINDOWS_AT_ONCE, WINDOWS_AT_ONCE))
    for start, end in pairwise(cuts):
        rows = window[start:end] - window[start]
        there = csr_matrix(
            (np.ones(end - start, dtype=np.float32), (rows, passages.tokens[start:end])),
            shape=(int(rows[-1]) + 1, vocabulary),
        )
        there.data[:] = 1  # building summed what stands in a window twice
        together = (there.T @ there).tocoo()
        counts[together.row, together.col] += together.data
    np.fill_diagonal(counts, 0)
    return counts


def _information(counts: NDArray[np.float32]) -> NDArray[np.float32]:
    """Turn counts into max(0, ln(p(a, b) / p(a) p(b))), in place."""
    chance = counts < RAREST
    near = counts.sum(1, dtype=np.float64) + 1
    context = near**CONTEXT_POWER / (near**CONTEXT_POWER).sum()
    np.maximum(counts, 1e-9, out=counts)
    counts /= near[:, None].astype(np.float32)
    counts /= context.astype(np.float32)
    np.log(counts, out=counts)
    np.maximum(counts, 0, out=counts)
    counts[chance] = 0
    return counts
