"""Which texts go through the model together, and fewer of them where memory runs out."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from embedder.models.workers import RunBatch, count_workers, is_out_of_memory, run_at_once
from embedder.progress import Progress, silent

Output = TypeVar("Output")

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


def left_pad(rows: Sequence[list[int]], shared: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Stack rows that end together, and begin with `shared` ids that are the same.

    Returns:
        ids and attention mask, both (n, length) int64; padding comes after the shared ids.
    """
    length = max(map(len, rows))
    ids = np.zeros((len(rows), length), dtype=np.int64)
    mask = np.zeros_like(ids)
    for position, row in enumerate(rows):
        own = length - len(row) + shared
        ids[position, :shared], ids[position, own:] = row[:shared], row[shared:]
        mask[position, :shared], mask[position, own:] = 1, 1
    return ids, mask


def open_mask(last: Tensor, dtype: torch.dtype) -> Tensor:
    """Return a mask by which every token sees all tokens of its row, and no padding.

    Args:
        last: (n,) int64 position of each row's last token; padding follows it.
        dtype: of the model.

    Returns:
        (n, 1, length, length), 0 or the lowest number.
    """
    length = int(last.max()) + 1
    mask = torch.zeros((len(last), 1, length, length), dtype=dtype, device=last.device)
    padding = torch.arange(length, device=last.device)[None] > last[:, None]
    return mask.masked_fill(padding[:, None, None], torch.finfo(dtype).min)


class AdaptiveBudget:
    """Tokens that go through a model together; halved for good where they do not fit in memory.

    Attributes:
        tokens: the budget as it is now.
        crowded: whether batches did not fit in memory beside each other; they then go one by one.
    """

    def __init__(
        self,
        tokens: int,
        complaint: str = "one text of {} tokens does not fit in memory; "
        "lower max_text_tokens or use a smaller model",
    ) -> None:
        """Start with a number of tokens.

        Args:
            tokens: the budget at first.
            complaint: what is said where a text alone does not fit; {} is the number of its tokens.
        """
        self.tokens, self.crowded, self._complaint = tokens, False, complaint

    def run_batches(
        self,
        lengths: Sequence[int],
        choose: Callable[[list[int]], NDArray[np.int64]],
        runs: Callable[[int], Sequence[RunBatch[Output]]],
        tell: Progress = silent,
    ) -> list[Output]:
        """Run texts through a model batch by batch, several of them at once where that is faster.

        Which texts make a batch does not depend on how many are run at once.

        Args:
            lengths: tokens of each text.
            choose: called with the places of the texts that wait; returns which of them come
                next, as positions in that list. It goes by `tokens`.
            runs: called with a number; returns so many functions that may be called at the same
                time, or one. Each is called with the places of a batch and returns its output.
            tell: called with the number of a batch's texts when it is done.

        Returns:
            The outputs, in the order of the batches.

        Raises:
            MemoryError: one text alone does not fit.
        """
        batches = self._plan(list(range(len(lengths))), choose)
        functions = runs(1 if self.crowded else count_workers(len(batches)))
        outputs: list[Output] = []
        if len(functions) > 1:
            outputs = run_at_once(batches, functions, tell)
            batches = batches[len(outputs) :]
            self.crowded = len(batches) > 0
        while batches:
            try:
                outputs.append(functions[0](batches[0]))
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                if len(batches[0]) == 1:
                    raise MemoryError(self._complaint.format(lengths[batches[0][0]])) from None
                self.tokens = max(1, self.tokens // 2)
                batches = self._plan(np.sort(np.concatenate(batches)).tolist(), choose)
                continue
            tell(len(batches.pop(0)))
        return outputs

    def _plan(
        self, waiting: list[int], choose: Callable[[list[int]], NDArray[np.int64]]
    ) -> list[NDArray[np.int64]]:
        """Return the places of each batch, as if none of them will fail."""
        batches = []
        while waiting:
            batch = np.array(waiting)[choose(waiting)]
            batches.append(batch)
            chosen = set(batch.tolist())
            waiting = [place for place in waiting if place not in chosen]
        return batches
