"""What a legal vector is: Representation, Role and the Encoder contract."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, vstack

from embedder.files.durable import replacing
from embedder.role import Role as Role

Float32Array = NDArray[np.float32]
Float64Array = NDArray[np.float64]
UNIT_TOLERANCE = 1e-3  # bf16 rounding of a unit row stays well inside this


def list_texts(texts: Sequence[str]) -> list[str]:
    """Return the texts of an encoder's call as a list.

    Raises:
        TypeError: one string is given in place of several, which would be read letter by letter;
            or an item is no string.
    """
    if isinstance(texts, str | bytes):
        raise TypeError(f"an encoder takes a list of texts; got one: give [{texts[:40]!r}]")
    if not isinstance(texts, Iterable):
        raise TypeError(f"an encoder takes a list of texts; got {type(texts).__name__}")
    listed = list(texts)
    for at, text in enumerate(listed):
        if not isinstance(text, str):
            raise TypeError(f"an encoder takes texts; item {at} is {type(text).__name__} {text!r}")
    return listed


class RefusedTextError(ValueError):
    """An encoder cannot read one of the texts of a call.

    Attributes:
        at: position of the text.
        reason: why, without saying which.
    """

    def __init__(self, at: int, reason: str) -> None:
        super().__init__(f"text {at + 1}: {reason}")
        self.at, self.reason = at, reason


@dataclass(frozen=True, slots=True, eq=False)
class Representation:
    """Rows that stand for texts: dense unit vectors, sparse non-negative vectors, or both.

    Attributes:
        dense: (n, dim) float32 rows of unit length, or zeros where there was nothing to read, such
            as an empty text's second copy in Echo; or None.
        sparse: (n, vocab) float32 CSR >= 0 with sorted indices and no stored zeros, or None.
        owner: (n,) int64, non-decreasing: the position of the input text that a row stands for.
    """

    dense: NDArray[np.float32] | None
    sparse: csr_matrix | None
    owner: NDArray[np.int64]

    def __post_init__(self) -> None:
        if self.dense is None and self.sparse is None:
            raise ValueError("a representation needs dense rows, sparse rows or both; got neither")
        rows = len(self.owner)
        if self.owner.dtype != np.int64 or (rows and np.any(np.diff(self.owner) < 0)):
            raise ValueError("owner must be non-decreasing int64 text positions")
        if self.dense is not None:
            _check_dense(self.dense, rows)
        if self.sparse is not None:
            _check_sparse(self.sparse, rows)

    def __len__(self) -> int:
        return len(self.owner)

    @staticmethod
    def concatenate(parts: "Sequence[Representation]", texts: int) -> "Representation":
        """Put the rows of several calls one under another.

        Args:
            parts: at least one, all with the same channels.
            texts: number of texts behind every part but the last.
        """
        dense = [part.dense for part in parts if part.dense is not None]
        sparse = [part.sparse for part in parts if part.sparse is not None]
        return Representation(
            dense=np.concatenate(dense) if dense else None,
            sparse=vstack(sparse, format="csr") if sparse else None,
            owner=np.concatenate([part.owner + at * texts for at, part in enumerate(parts)]),
        )

    def of_text(self, text: int) -> "Representation":
        """Return the rows of the text at a position, as those of a single text."""
        return self.of_texts(text, text + 1)

    def of_texts(self, first: int, last: int) -> "Representation":
        """Return the rows of the texts from one position up to another, as of those alone."""
        start, stop = np.searchsorted(self.owner, [first, last])
        return self._slice(int(start), int(stop), self.owner[start:stop] - first)

    def of_row(self, row: int) -> "Representation":
        """Return one row, as that of a single text."""
        return self._slice(row, row + 1, np.zeros(1, np.int64))

    def _slice(self, start: int, stop: int, owner: NDArray[np.int64]) -> "Representation":
        return Representation(
            dense=None if self.dense is None else self.dense[start:stop],
            sparse=None if self.sparse is None else self.sparse[start:stop],
            owner=owner,
        )

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return plain arrays by name; the sparse rows are named as parts of a CSR matrix."""
        arrays: dict[str, NDArray[Any]] = {"owner": self.owner}
        if self.dense is not None:
            arrays["dense"] = self.dense
        if self.sparse is not None:
            names = ("data", "indices", "indptr", "shape")
            arrays |= {f"sparse_{name}": np.asarray(getattr(self.sparse, name)) for name in names}
        return arrays

    @staticmethod
    def from_arrays(arrays: Mapping[str, NDArray[Any]]) -> "Representation":
        """Make a representation of what `to_arrays` returns."""
        sparse = None
        if "sparse_data" in arrays:
            parts = tuple(arrays[f"sparse_{name}"] for name in ("data", "indices", "indptr"))
            sparse = csr_matrix(parts, shape=tuple(arrays["sparse_shape"].tolist()))
        dense = arrays["dense"] if "dense" in arrays else None
        return Representation(dense, sparse, arrays["owner"])

    def save(self, path: Path, **more: NDArray[Any]) -> None:
        """Write a .npz file of these rows and of `more` arrays, in place of the file at `path`."""
        arrays: dict[str, Any] = {**self.to_arrays(), **more}
        with replacing(path) as file:
            np.savez(file, **arrays)

    @staticmethod
    def load(path: Path) -> "Representation":
        """Read the rows that `save` wrote."""
        with np.load(path, allow_pickle=False) as arrays:
            return Representation.from_arrays(arrays)


def unit_rows(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale rows (..., dim) to unit length; a row of zeros has no direction and stays."""
    lengths = np.linalg.norm(rows, axis=-1, keepdims=True)
    scaled: NDArray[np.float32] = rows / np.maximum(lengths, np.float32(1e-12))
    return scaled


def _check_dense(dense: NDArray[np.float32], rows: int) -> None:
    if dense.ndim != 2 or len(dense) != rows or dense.dtype != np.float32:
        raise ValueError(f"dense must be ({rows}, dim) float32; got {dense.shape} {dense.dtype}")
    norms = np.linalg.norm(dense, axis=1)
    if not np.all(np.isfinite(norms)):
        bad = int(np.flatnonzero(~np.isfinite(norms))[0])
        raise ValueError(f"dense row {bad} holds NaN or infinity; check the model and its dtype")
    off = np.where(norms == 0, 0.0, np.abs(norms - 1))
    if rows and off.max() > UNIT_TOLERANCE:
        bad = int(off.argmax())
        raise ValueError(f"dense rows must have unit length; row {bad} has length {norms[bad]:.4g}")


def _check_sparse(sparse: csr_matrix, rows: int) -> None:
    if sparse.shape[0] != rows or sparse.dtype != np.float32:
        raise ValueError(
            f"sparse must be ({rows}, vocab) float32; got {sparse.shape} {sparse.dtype}"
        )
    if not np.all(np.isfinite(sparse.data)):
        raise ValueError("sparse holds NaN or infinity; check the model and its dtype")
    if np.any(sparse.data <= 0):
        raise ValueError("stored sparse weights must be positive; drop zeros first")
    if not sparse.has_canonical_format:
        raise ValueError("sparse must have sorted indices without duplicates")


@runtime_checkable
class Encoder(Protocol):
    """Turn texts into a Representation.

    The order of texts is kept, a text encoded alone equals the same text encoded among others,
    and the empty string is a legal text. One call yields dense and sparse rows together where
    the encoder has both.
    """

    @property
    def fingerprint(self) -> str:
        """Canonical JSON object of everything that changes a vector (see `fingerprint_of`)."""
        ...

    def encode(self, texts: Sequence[str], role: Role) -> Representation:
        """Encode texts in order; `owner` points back at their positions.

        Raises:
            TypeError: texts are one string, or an item is none.
            ValueError: the role is neither of the two.
        """
        ...


@runtime_checkable
class NamesTerms(Protocol):
    """An encoder whose sparse columns can be read by people."""

    def term_names(self, terms: Sequence[int], texts: Sequence[str]) -> dict[int, str]:
        """Name sparse columns `terms`, which were produced from `texts`."""
        ...


def inner_encoder(encoder: Encoder) -> Encoder:
    """Return the encoder within one that rewrites texts or adapts queries, else the encoder."""
    inner: Encoder = getattr(encoder, "inner", encoder)
    return inner


@runtime_checkable
class MapsQueries(Protocol):
    """An encoder that maps the dense rows of queries once they have been read."""

    @property
    def before_map(self) -> Encoder:
        """An encoder that reads the same and does not map, the same object each time."""
        ...

    def map_rows(self, rows: Representation) -> Representation:
        """Map dense rows as they are compared with documents, whatever was done to them before."""
        ...


def before_map(encoder: Encoder) -> Encoder:
    """Return what reads queries for an encoder that maps their rows, else the encoder."""
    return encoder.before_map if isinstance(encoder, MapsQueries) else encoder


def map_rows(encoder: Encoder, rows: Representation, kind: str) -> Representation:
    """Map rows of queries if the encoder does and a channel of their kind, "dense", is searched."""
    if kind == "dense" and isinstance(encoder, MapsQueries):
        return encoder.map_rows(rows)
    return rows


@runtime_checkable
class Counted(Protocol):
    """An encoder that tells what it did to the texts it was given."""

    @property
    def counts(self) -> Mapping[str, int]:
        """Totals since creation, e.g. texts, tokens, truncated, without_words."""
        ...


def fingerprint_of(**facts: object) -> str:
    """Write facts as canonical JSON, so that equal facts are equal strings."""
    return json.dumps(facts, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def _facts(fingerprint: str) -> dict[str, object]:
    """Return the facts of a fingerprint, what it says of both wordings as one fact for each."""
    facts: dict[str, object] = json.loads(fingerprint)
    wordings = facts.get("wordings")
    if isinstance(wordings, dict):
        facts.pop("wordings")
        facts |= {f"{role}_wording": wording for role, wording in wordings.items()}
    return facts


def fingerprint_differences(first: str, second: str) -> list[str]:
    """Say which facts differ between two fingerprints, one line each."""
    before, after = (_facts(fingerprint) for fingerprint in (first, second))
    return [
        f"{fact}: index has {before.get(fact)!r}, encoder has {after.get(fact)!r}"
        for fact in sorted(before.keys() | after.keys())
        if before.get(fact) != after.get(fact)
    ]
