"""Weights as places in a table of the different ones, where that takes fewer bytes: exact."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

MOST_VALUES = 1 << 16
_CHUNK = 1 << 15  # weights that are looked at at a time, which a cache has room for


def code_type(values: int) -> type[np.float32] | type[np.uint8] | type[np.uint16]:
    """Return what codes of so many different weights are stored as; without any, weights are."""
    if not values:
        return np.float32
    return np.uint8 if values <= 256 else np.uint16


def find_values(weights: Iterable[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Return the different ones of all weights, ascending; none where codes would save nothing.

    Args:
        weights: some at a time; fewer bytes are touched where they are few.
    """
    values, entries = np.zeros(0, np.float32), 0
    for part in weights:
        entries += len(part)
        for chunk in _chunks(part):
            values = np.union1d(values, _different(chunk))
            if len(values) > MOST_VALUES:
                return values[:0]
    size = np.dtype(code_type(len(values))).itemsize
    return values if size * entries + 4 * len(values) < 4 * entries else values[:0]


def encode_weights(weights: NDArray[np.float32], values: NDArray[np.float32]) -> NDArray[Any]:
    """Return the place of each weight among the values; the weights where there are no values."""
    if not len(values):
        return weights
    codes = np.empty(len(weights), code_type(len(values)))
    places = np.zeros(0, np.uint16)
    if _whole(values) is not None:
        places = np.zeros(int(values[-1]) + 1, np.uint16)
        places[values.astype(np.uint16)] = np.arange(len(values))
    at = 0
    for chunk in _chunks(weights):
        codes[at : at + len(chunk)] = (
            places[chunk.astype(np.uint16)] if len(places) else np.searchsorted(values, chunk)
        )
        at += len(chunk)
    return codes


def _different(weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the different ones, ascending."""
    whole = _whole(weights)
    if whole is None:
        return np.unique(weights)
    return np.flatnonzero(np.bincount(whole)).astype(np.float32)


def _whole(weights: NDArray[np.float32]) -> NDArray[np.uint16] | None:
    """Return weights as whole numbers below 2**16, as counts are; None where one is not."""
    with np.errstate(invalid="ignore"):
        whole = weights.astype(np.uint16)
    return whole if np.array_equal(whole, weights) else None


def _chunks(weights: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
    for at in range(0, len(weights), _CHUNK):
        yield weights[at : at + _CHUNK]
