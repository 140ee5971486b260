"""Which texts go through the model together (pure functions)."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def plan(lengths: Sequence[int], shared: int, budget: int) -> list[NDArray[np.int64]]:
    """Cut texts, longest first, into batches of at most `budget` tokens, padding included.

    Sorting keeps padding to a few percent, and the longest batch comes first, so that a machine
    with too little memory says so at once.

    Args:
        lengths: (n,) tokens of each text with its own suffix.
        shared: tokens of the shared prefix, which every row attends to and takes memory for.
        budget: tokens per batch; a single text may exceed it.

    Returns:
        Positions into `lengths`, every one exactly once.
    """
    order = np.argsort(-np.asarray(lengths, dtype=np.int64), kind="stable")
    batches, start = [], 0
    while start < len(order):
        longest = lengths[order[start]] + shared
        size = max(1, budget // max(1, longest))
        batches.append(order[start : start + size])
        start += size
    return batches


def left_pad(
    rows: Sequence[Sequence[int]], pad: int
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Stack rows so that they end together, which puts every last token in the last column.

    Returns:
        ids (n, length) int64 and mask (n, length), False where padded.
    """
    length = max(len(row) for row in rows)
    ids = np.full((len(rows), length), pad, dtype=np.int64)
    mask = np.zeros((len(rows), length), dtype=np.bool_)
    for position, row in enumerate(rows):
        ids[position, length - len(row) :] = row
        mask[position, length - len(row) :] = True
    return ids, mask
