"""CachedEncoder: an Encoder around an Encoder; what was encoded once is read from disk."""

import errno
import hashlib
import io
import os
import stat
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np

from embedder.encoders.specs import EncoderSpec, spec_of
from embedder.files.durable import replacing
from embedder.types import Counted, Encoder, NamesTerms, Representation, Role, list_texts

_DIGEST = 32  # bytes
_NAMES = {name: f"sparse_{name}" for name in ("data", "indices", "indptr")}

EncodedTexts = tuple[Representation, Counter[str]]
"""Rows of texts, and what was counted while they were encoded."""


@runtime_checkable
class EncodesAhead(Protocol):
    """An encoder that encodes elsewhere while its caller does other work."""

    def submit(self, texts: Sequence[str], role: Role) -> "Future[EncodedTexts]":
        """Begin to encode texts; its own counts stay as they are."""
        ...


class CachedEncoder:
    """Keep the rows of every call in a folder, one file per call.

    A file answers for exactly one sequence of texts: a text's row differs in its last bits with
    the texts it is batched with, and an interrupted job must end with the bytes of an
    uninterrupted one. A file begins with the checksum of what follows; what is damaged, or of an
    older form, is encoded again.

    Raises:
        OSError: the folder is a link or cannot be written; a file cannot be read.
    """

    def __init__(self, encoder: Encoder, folder: Path) -> None:
        self.encoder = encoder
        self.folder = folder
        if folder.is_symlink():
            raise NotADirectoryError(
                errno.ENOTDIR, "a link, and nothing is written through links", str(folder)
            )
        self._replayed: Counter[str] = Counter()
        self._begun: dict[Path, Future[None]] = {}
        self._used: set[Path] = set()

    @property
    def spec(self) -> EncoderSpec | None:
        """The spec of the encoder inside."""
        return spec_of(self.encoder)

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
        path = self._path(texts, role)
        self._used.add(path)
        begun = self._begun.pop(path, None)
        if begun is not None:
            begun.result()
        stored = _read(path)
        if stored is not None:
            rows, counts = stored
            self._replayed += counts
            if begun is None:
                self._replayed["reused"] += len(texts)
            return rows
        before = self._inner()
        fresh = self.encoder.encode(texts, role)
        self._keep(path, fresh, self._inner() - before)
        return fresh

    def begin(self, texts: Sequence[str], role: Role) -> None:
        """Have texts encoded for a later call with the same ones, where the encoder does so.

        Their rows are kept as soon as they are there: whoever is killed before that call has them.
        """
        if not isinstance(self.encoder, EncodesAhead):
            return
        path = self._path(texts, role)
        if path not in self._begun and _read(path) is None:
            kept: Future[None] = Future()
            self._begun[path] = kept
            encoded = self.encoder.submit(texts, role)
            encoded.add_done_callback(partial(self._keep_begun, path, kept))

    def remove_used(self) -> None:
        """Remove the files of the calls so far, whose rows are safe elsewhere by now."""
        for path in self._used:
            with suppress(FileNotFoundError):
                path.unlink()
        self._used = set()

    def term_names(self, terms: Sequence[int], texts: Sequence[str]) -> dict[int, str]:
        """Ask the encoder inside."""
        if not isinstance(self.encoder, NamesTerms):
            raise ValueError(f"{type(self.encoder).__name__} has no terms that could be named")
        return self.encoder.term_names(terms, texts)

    def _keep_begun(
        self, path: Path, kept: "Future[None]", encoded: "Future[EncodedTexts]"
    ) -> None:
        try:
            self._keep(path, *encoded.result())
        except Exception as error:  # whoever waits for the rows is told
            kept.set_exception(error)
        else:
            kept.set_result(None)

    def _keep(self, path: Path, rows: Representation, counts: Counter[str]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        _write(path, rows, counts)

    def _inner(self) -> Counter[str]:
        return Counter(self.encoder.counts if isinstance(self.encoder, Counted) else {})

    def _path(self, texts: Sequence[str], role: Role) -> Path:
        digest = hashlib.blake2b(digest_size=16)
        for part in (self.fingerprint, role.value, *texts):
            data = part.encode("utf-8", "surrogatepass")
            digest.update(len(data).to_bytes(8, "little"))
            digest.update(data)
        return self.folder / f"{digest.hexdigest()}.npz"


def _write(path: Path, rows: Representation, counts: Counter[str]) -> None:
    parts = rows.to_arrays()
    arrays = {
        "owner": parts.pop("owner"),
        "counted": np.array(list(counts), dtype=np.str_),
        "counts": np.array(list(counts.values()), dtype=np.int64),
    }
    if rows.sparse is not None:
        parts["columns"] = parts.pop("sparse_shape")[1]
    arrays |= {name.removeprefix("sparse_"): part for name, part in parts.items()}
    if path.is_symlink():
        path.unlink()
    with replacing(path) as file:
        packed = io.BytesIO()
        np.savez(packed, **arrays)  # type: ignore[arg-type]
        file.write(hashlib.blake2b(packed.getbuffer(), digest_size=_DIGEST).digest())
        file.write(packed.getbuffer())


def _read(path: Path) -> tuple[Representation, Counter[str]] | None:
    """Return what `_write` wrote; None where there is nothing, or something else."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno == errno.ELOOP:
            return None
        raise
    with os.fdopen(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            return None
        digest, packed = file.read(_DIGEST), file.read()
    if hashlib.blake2b(packed, digest_size=_DIGEST).digest() != digest:
        return None
    try:
        return _unpack(packed)
    except Exception:
        return None


def _unpack(packed: bytes) -> tuple[Representation, Counter[str]]:
    with np.load(io.BytesIO(packed), allow_pickle=False) as arrays:
        parts = {_NAMES.get(name, name): arrays[name] for name in arrays}
        if "columns" in parts:
            parts["sparse_shape"] = np.array([len(parts["owner"]), int(parts["columns"])])
        counts = zip(arrays["counted"].tolist(), arrays["counts"].tolist(), strict=True)
        return Representation.from_arrays(parts), Counter(dict(counts))
