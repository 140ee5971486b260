"""CachedEncoder: an Encoder around an Encoder; what was encoded once is read from disk."""

import hashlib
import zipfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from embedder.durable import replacing
from embedder.types import Counted, Encoder, NamesTerms, Representation, Role, list_texts


class CachedEncoder:
    """Keep the rows of every call in a folder, one file per call.

    A file answers for exactly one sequence of texts: a text's row differs in its last bits with
    the texts it is batched with, and an interrupted job must end with the bytes of an
    uninterrupted one. Files are written under another name, synced and renamed, so that one that
    exists is whole; one that cannot be read is encoded again.
    """

    def __init__(self, encoder: Encoder, folder: Path) -> None:
        self.encoder = encoder
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._replayed: Counter[str] = Counter()

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the encoder inside."""
        return self.encoder.fingerprint

    @property
    def counts(self) -> Mapping[str, int]:
        """Counts of the encoder inside, as if it had encoded what was reused, and `reused`."""
        return dict(self._inner() + self._replayed)

    def encode(self, texts: Sequence[str], role: Role) -> Representation:
        """Encode, or read what an earlier call with the same texts gave."""
        role, texts = Role(role), list_texts(texts)
        path = self.folder / f"{self._key(texts, role)}.npz"
        held = _read(path)
        if held is not None:
            rows, counts = held
            self._replayed += counts + Counter(reused=len(texts))
            return rows
        before = self._inner()
        fresh = self.encoder.encode(texts, role)
        _write(path, fresh, self._inner() - before)
        return fresh

    def term_names(self, terms: Sequence[int], texts: Sequence[str]) -> dict[int, str]:
        """Ask the encoder inside."""
        if not isinstance(self.encoder, NamesTerms):
            raise ValueError(f"{type(self.encoder).__name__} has no terms that could be named")
        return self.encoder.term_names(terms, texts)

    def _inner(self) -> Counter[str]:
        return Counter(self.encoder.counts if isinstance(self.encoder, Counted) else {})

    def _key(self, texts: Sequence[str], role: Role) -> str:
        digest = hashlib.blake2b(digest_size=16)
        for part in (self.fingerprint, role.value, *texts):
            data = part.encode("utf-8", "surrogatepass")
            digest.update(len(data).to_bytes(8, "little"))
            digest.update(data)
        return digest.hexdigest()


def _write(path: Path, rows: Representation, counts: Counter[str]) -> None:
    arrays: dict[str, NDArray[np.generic]] = {
        "owner": rows.owner,
        "counted": np.array(list(counts), dtype=np.str_),
        "counts": np.array(list(counts.values()), dtype=np.int64),
    }
    if rows.dense is not None:
        arrays["dense"] = rows.dense
    if rows.sparse is not None:
        sparse = rows.sparse
        arrays |= {"data": sparse.data, "indices": sparse.indices, "indptr": sparse.indptr}
        arrays["columns"] = np.array(sparse.shape[1], dtype=np.int64)
    with replacing(path) as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]


def _read(path: Path) -> tuple[Representation, Counter[str]] | None:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            sparse = None
            if "data" in arrays:
                shape = (len(arrays["owner"]), int(arrays["columns"]))
                parts = (arrays["data"], arrays["indices"], arrays["indptr"])
                sparse = csr_matrix(parts, shape=shape)
            dense = arrays["dense"] if "dense" in arrays else None
            counts = zip(arrays["counted"].tolist(), arrays["counts"].tolist(), strict=True)
            return Representation(dense, sparse, arrays["owner"]), Counter(dict(counts))
    except (FileNotFoundError, zipfile.BadZipFile, EOFError, KeyError, ValueError):
        return None
