"""Rows of batches: from the device to the host, in the order of their texts, checked for NaN."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class BatchRows:
    """What one batch gave, still on the device; `owner` is a position inside the window."""

    owner: NDArray[np.int64]
    states: "Tensor | None"
    terms: "Tensor | None"
    weights: "Tensor | None"


def in_order(done: Sequence[BatchRows]) -> tuple[NDArray[np.int64], NDArray[np.float32] | None]:
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
    owner: NDArray[np.int64], rows: NDArray[np.generic] | list[NDArray[np.generic]]
) -> None:
    """Refuse rows that hold NaN or infinity, which would look like absent terms later."""
    for text, row in zip(owner, rows, strict=True):
        if not np.isfinite(row).all():
            raise ValueError(
                f"the model gave NaN or infinity for text {text} of its window; "
                "try --dtype float32, or check the weights"
            )
