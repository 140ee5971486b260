"""Names in an index folder: what a segment consists of, and so what may be removed as ours."""

import re
from collections.abc import Mapping
from itertools import chain
from typing import Literal

SEGMENTS = "segments"
DOCUMENTS = "documents.sqlite"
PASSAGES = "passages.npy"
OWNER = "owner.npy"
VECTORS = "vectors.npy"
CODES, SCALES = "codes.npy", "scales.npy"  # of rows that are searched as int8
APPROXIMATE = "index.faiss"
GATHERED = "gathered.partial"
POSTED = ("lengths", "values", "columns", "terms", "counts", "blocks", "sizes", "rows", "codes")
"""Arrays of postings, each after those that say what type it has."""
POSTINGS = tuple(f"{name}.npy" for name in POSTED)
LUCENE_TERMS, LUCENE_BLOCKS, LUCENE_ROWS = "terms.npy", "blocks.npy", "rows.bin"
LUCENE_COMMIT = "segments_1"  # Lucene's own; others it numbers
LUCENE_FILE = re.compile(
    r"_[0-9a-z]+(_[A-Za-z0-9_-]+)?\.[a-z0-9]{2,4}|(pending_)?segments_[0-9a-z]+"
)

SEGMENT = re.compile(r"[0-9]{6,9}")
CHANNEL = re.compile(r"[a-z0-9][a-z0-9_-]*")
TOMBSTONE = re.compile(r"deleted-[0-9]{6,9}\.npy")
CACHED = re.compile(r"[0-9a-f]{32}\.npz")

OF_SEGMENT = frozenset({DOCUMENTS, f"{DOCUMENTS}-journal", PASSAGES})

DenseDtype = Literal["float32", "float16", "int8"]
"""How numbers of dense rows are kept; int8 codes are beside the float32 rows."""
Form = Literal["dense", "int8", "postings", "lucene"]
"""How the rows of a channel lie on disk."""
_ROWS: Mapping[Form, tuple[str, ...]] = {
    "dense": (OWNER, VECTORS),
    "int8": (OWNER, VECTORS, CODES, SCALES),
    "postings": (OWNER, *POSTINGS),
    "lucene": (OWNER, LUCENE_TERMS, LUCENE_BLOCKS, LUCENE_ROWS, LUCENE_COMMIT),
}
_OF_CHANNEL = frozenset({APPROXIMATE, GATHERED, *chain(*_ROWS.values())})


def segment_name(number: int) -> str:
    """Return the name of a segment's folder."""
    return f"{number:06d}"


def tombstone_name(generation: int) -> str:
    """Return the name of the file with the documents that are deleted from a generation on."""
    return f"deleted-{generation:06d}.npy"


def is_of_channel(name: str) -> bool:
    """Tell whether a file in the folder of a channel has a name that is given here."""
    return name in _OF_CHANNEL or bool(LUCENE_FILE.fullmatch(name))


def required_files(channels: Mapping[str, Form]) -> set[str]:
    """Return the files that a segment with these channels must have.

    A segment may have a tombstone too; see `may_have`.
    """
    own = {f"{name}/{file}" for name, form in channels.items() for file in _ROWS[form]}
    return {DOCUMENTS, PASSAGES, *own}


def may_have(channels: Mapping[str, Form], path: str) -> bool:
    """Tell whether a file is one that a channel can have or not: of FAISS, or of Lucene."""
    channel, _, file = path.partition("/")
    form = channels.get(channel)
    if form == "dense":
        return file == APPROXIMATE
    return form == "lucene" and bool(LUCENE_FILE.fullmatch(file))
