"""Which texts go through the model together (pure functions)."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

KEYS_ONLY = 8  # MetaEOL of 64 sentences, 135M, 2 cores: 12.7 s instead of 14.1 with 1


def plan(
    lengths: Sequence[int], shared: int, budget: int, equal: bool = False
) -> list[NDArray[np.int64]]:
    """Cut texts, longest first, into batches of at most `budget` tokens, padding included.

    Sorting keeps padding to a few percent, and the longest batch comes first, so that a machine
    with too little memory says so at once.

    Args:
        lengths: (n,) tokens of each text with its own suffix.
        shared: tokens of the shared prefix, which cost a row no multiplications, only room for
            one layer's keys and values and a look at them: each counts as 1 / KEYS_ONLY.
        budget: tokens per batch; a single text may exceed it.
        equal: whether a batch holds texts of one length only, so that there is no padding.

    Returns:
        Positions into `lengths`, every one exactly once.
    """
    order = np.argsort(-np.asarray(lengths, dtype=np.int64), kind="stable")
    batches, start = [], 0
    while start < len(order):
        longest = lengths[order[start]] + shared // KEYS_ONLY
        batch = order[start : start + max(1, budget // max(1, longest))]
        if equal:
            batch = batch[[lengths[i] == lengths[batch[0]] for i in batch]]
        batches.append(batch)
        start += len(batch)
    return batches


def right_pad(rows: Sequence[Sequence[int]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Stack rows that begin together; what follows a shorter row is id 0.

    Returns:
        ids (n, length) int64 and the position of each row's last id, (n,) int64.
    """
    last = np.array([len(row) - 1 for row in rows], dtype=np.int64)
    ids = np.zeros((len(rows), int(last.max()) + 1), dtype=np.int64)
    for position, row in enumerate(rows):
        ids[position, : len(row)] = row
    return ids, last
