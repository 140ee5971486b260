"""Turn what servers answer into rows; nothing in an answer is taken on trust."""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from embedder.types import UNIT_TOLERANCE, unit_rows

COLUMNS = 2**31 - 1  # of sparse rows: a server does not say how large its vocabulary is
_MOST_TOKENS = 2**40  # of one request; more is no count


class FaultyRowError(ValueError):
    """A row is no row; `at` is its place in the answer."""

    def __init__(self, at: int, reason: str) -> None:
        super().__init__(reason)
        self.at = at


@dataclass(frozen=True, slots=True)
class ServerRows:
    """The rows of the texts of one request, in their order.

    Attributes:
        dense: (n, dim) float32 unit rows, or zeros; or None.
        sparse: (n, COLUMNS) float32 CSR, positive; or None.
        counts: what the server says of them: "tokens", and "truncated" texts.
    """

    dense: NDArray[np.float32] | None
    sparse: csr_matrix | None = None
    counts: dict[str, int] = field(default_factory=dict)


def check_length(values: object, texts: int, what: str) -> list[object]:
    """Return the list of an answer, one item a text.

    Raises:
        ValueError: it is no list, or of another length.
    """
    if not isinstance(values, list):
        raise ValueError(f"expected {what} as a list; got {type(values).__name__}")
    if len(values) != texts:
        raise ValueError(f"expected {what} of {texts} texts; got {len(values)}")
    return values


def dense_rows(values: Sequence[object]) -> NDArray[np.float32]:
    """Read rows, each a list of numbers or base64 of little-endian float32; unit length.

    Raises:
        FaultyRowError: a row is neither, holds NaN or infinity, has another width than the first
            one, or a length that float32 cannot scale.
    """
    rows = [_dense_row(value, at) for at, value in enumerate(values)]
    for at, row in enumerate(rows):
        if len(row) != len(rows[0]):
            raise FaultyRowError(at, f"a row of {len(row)} numbers beside one of {len(rows[0])}")
    if not rows:
        return np.zeros((0, 0), np.float32)
    with np.errstate(over="ignore"):
        scaled = unit_rows(np.stack(rows))
    off = np.abs(np.linalg.norm(scaled, axis=1) - 1) > UNIT_TOLERANCE
    for at in np.flatnonzero(off).tolist():
        if rows[at].any():
            raise FaultyRowError(at, "a row too small or too large to be of unit length")
    return scaled


def token_count(value: object) -> int:
    """Return how many tokens a server says that it has read; 0 where it says no such number."""
    return value if type(value) is int and 0 <= value < _MOST_TOKENS else 0


def sparse_rows(values: Sequence[object]) -> csr_matrix:
    """Read rows, each a list of {"index": term, "value": weight}; weights below 0 are none.

    Raises:
        FaultyRowError: a row is none, names a term twice, or holds NaN or infinity.
    """
    rows = [_sparse_row(value, at) for at, value in enumerate(values)]
    bounds = np.cumsum([0, *(len(terms) for terms, _ in rows)])
    empty = (np.zeros(0, np.int64), np.zeros(0, np.float32))
    terms, weights = (np.concatenate(parts) for parts in zip(empty, *rows, strict=True))
    return csr_matrix((weights, terms, bounds), shape=(len(rows), COLUMNS), dtype=np.float32)


def _dense_row(value: object, at: int) -> NDArray[np.float32]:
    if isinstance(value, str):
        try:
            data = base64.b64decode(value, validate=True)
            row = np.frombuffer(data, dtype="<f4").astype(np.float32)
        except (binascii.Error, ValueError):
            raise FaultyRowError(at, "a row that is no base64 of float32 numbers") from None
    else:
        row = _numbers(value, at)
    if not len(row):
        raise FaultyRowError(at, "a row without numbers")
    if not np.isfinite(row).all():
        raise FaultyRowError(at, "NaN or infinity in a row")
    return row


def _numbers(value: object, at: int) -> NDArray[np.float32]:
    try:
        row = np.array(value if isinstance(value, list) else None)
    except ValueError:  # lists of several lengths
        row = np.array(None)
    if row.ndim != 1 or (row.dtype.kind not in "fiu" and len(row)):
        raise FaultyRowError(at, "a row that is no list of numbers")
    with np.errstate(over="ignore"):
        return row.astype(np.float32)


def _sparse_row(value: object, at: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    try:
        pairs = [(pair["index"], pair["value"]) for pair in value]  # type: ignore[attr-defined]
    except (TypeError, KeyError):
        raise FaultyRowError(at, "a row that is no list of index and value") from None
    indices = [index for index, _ in pairs]
    if not all(type(index) is int and 0 <= index < COLUMNS for index in indices):
        raise FaultyRowError(at, "a term whose index is no whole number from 0")
    if len(set(indices)) < len(indices):
        raise FaultyRowError(at, "a term twice in a row")
    weights = _numbers([weight for _, weight in pairs], at)
    if not np.isfinite(weights).all():
        raise FaultyRowError(at, "NaN or infinity in a row")
    terms = np.array(indices, np.int64)
    order = np.argsort(terms, kind="stable")
    order = order[weights[order] > 0]
    return terms[order], weights[order]
