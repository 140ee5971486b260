"""Rows of batches: from the device to the host, in the order of their texts, checked for NaN."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from embedder.types import Representation

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class BatchRows:
    """What one batch gave, still on the device; `owner` is a position inside the window."""

    owner: NDArray[np.int64]
    states: "Tensor | None"
    terms: "Tensor | None"
    weights: "Tensor | None"


def join(parts: Sequence[Representation], texts: int) -> Representation:
    """Put the rows of windows together; every window but the last is of `texts` texts."""
    from scipy.sparse import vstack

    starts = np.arange(len(parts)) * texts
    owner = np.concatenate([part.owner + at for part, at in zip(parts, starts, strict=True)])
    dense = [part.dense for part in parts if part.dense is not None]
    sparse = [part.sparse for part in parts if part.sparse is not None]
    return Representation(
        dense=np.concatenate(dense) if dense else None,
        sparse=vstack(sparse, format="csr") if sparse else None,
        owner=owner,
    )


def unit_rows(states: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale rows (..., dim) to unit length; a row of zeros has no direction and stays."""
    length = np.linalg.norm(states, axis=-1, keepdims=True)
    scaled: NDArray[np.float32] = states / np.maximum(length, np.float32(1e-12))
    return scaled


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
