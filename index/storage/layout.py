"""Names in an index folder: what a segment consists of, and so what may be removed as ours."""

import re
from collections.abc import Iterable

DOCUMENTS = "documents.sqlite"
PASSAGES = "passages.npy"
OWNER = "owner.npy"
VECTORS = "vectors.npy"
APPROXIMATE = "index.faiss"
GATHERED = "gathered.partial"
POSTINGS = tuple(
    f"{name}.npy" for name in ("terms", "indptr", "rows", "weights", "lengths", "columns")
)

SEGMENT = re.compile(r"[0-9]{6,9}")
CHANNEL = re.compile(r"[a-z0-9][a-z0-9_-]*")
TOMBSTONE = re.compile(r"deleted-[0-9]{6,9}\.npy")
CACHED = re.compile(r"[0-9a-f]{32}\.npz")

OF_SEGMENT = frozenset({DOCUMENTS, f"{DOCUMENTS}-journal", PASSAGES})
OF_CHANNEL = frozenset({OWNER, VECTORS, APPROXIMATE, GATHERED, *POSTINGS})


def segment_name(number: int) -> str:
    """Return the name of a segment's folder."""
    return f"{number:06d}"


def tombstone_name(generation: int) -> str:
    """Return the name of the file with the documents that are deleted from a generation on."""
    return f"deleted-{generation:06d}.npy"


def required_files(dense: Iterable[str], inverted: Iterable[str]) -> set[str]:
    """Return the files that a segment with these channels must have.

    A dense channel may have `APPROXIMATE` too, and a segment a tombstone.
    """
    return {
        DOCUMENTS,
        PASSAGES,
        *(f"{name}/{file}" for name in dense for file in (OWNER, VECTORS)),
        *(f"{name}/{file}" for name in inverted for file in (OWNER, *POSTINGS)),
    }
