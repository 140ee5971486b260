"""Rows of batches: from the device to the host, in the order of their texts, checked for NaN."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class BatchOutput:
    """What a model gives for one batch, still on the device.

    Attributes:
        owner: (r,) int64, position of the text that a row stands for: in the batch as a reader
            returns it, in the window as an encoder keeps it.
        states: (wordings, r, dim), or None where a prompt reads no dense rows.
        logits: (r, vocab), averaged over wordings, or None; gone once the terms are chosen.
        terms: (r, top) columns of the strongest terms, or None.
        weights: (r, top) weights of the terms, 0 where there are fewer, or None.
    """

    owner: NDArray[np.int64]
    states: "Tensor | None"
    logits: "Tensor | None" = None
    terms: "Tensor | None" = None
    weights: "Tensor | None" = None


def in_order(done: Sequence[BatchOutput]) -> tuple[NDArray[np.int64], NDArray[np.float32] | None]:
    """Bring states to the host and back into the order of their texts: owner, (w, n, dim)."""
    if not done:
        return np.zeros(0, np.int64), None
    owner = np.concatenate([rows.owner for rows in done])
    order = np.argsort(owner, kind="stable")
    if done[0].states is None:
        return owner[order], None
    states = np.concatenate([to_host(rows.states) for rows in done], axis=1)[:, order]
    for wording in states:
        refuse_nan(owner[order], wording)
    return owner[order], states


def to_host(tensor: "Tensor | None") -> NDArray[np.generic]:
    """Return a tensor's values; None where rows were asked for is a fault of this program."""
    if tensor is None:
        raise AssertionError("rows that were asked for are missing")
    array: NDArray[np.generic] = tensor.cpu().numpy()
    return array


def refuse_nan(
    owner: NDArray[np.int64], rows: NDArray[np.generic] | Sequence[NDArray[np.generic]]
) -> None:
    """Refuse rows that hold NaN or infinity, which would look like absent terms later."""
    for text, row in zip(owner, rows, strict=True):
        if not np.isfinite(row).all():
            raise ValueError(
                f"the model gave NaN or infinity for text {text} of its window; "
                "try dtype float32, or check the weights"
            )
