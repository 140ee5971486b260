"""Arrays of postings, as files and as what another process sends."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from index.channels.parts import Parts, block_type
from index.channels.postings import Postings
from index.channels.weight_codes import code_type
from index.storage.arrays import open_array, write_array
from index.storage.checksums import CURE
from index.storage.layout import POSTED

_TYPES: Mapping[str, DTypeLike] = {
    "lengths": np.float32,
    "values": np.float32,
    "columns": np.int64,
    "terms": np.int64,
    "sizes": np.uint16,
    "rows": np.uint16,
}


def arrays_of(postings: Postings) -> dict[str, NDArray[Any]]:
    """Return the arrays that postings consist of, by the names of their files."""
    arrays: dict[str, NDArray[Any]] = {
        "lengths": postings.lengths,
        "values": postings.values,
        "columns": np.array([postings.columns]),
        "terms": postings.terms,
        "counts": postings.parts.counts,
        "blocks": postings.parts.blocks,
        "sizes": postings.parts.sizes,
        "rows": postings.low,
        "codes": postings.codes,
    }
    return {name: arrays[name].astype(type_of(name, arrays), copy=False) for name in POSTED}


def postings_of(arrays: Mapping[str, NDArray[Any]]) -> Postings:
    """Return the postings that `arrays_of` gave the arrays of.

    Raises:
        ValueError: arrays do not fit together.
    """
    return Postings(
        terms=arrays["terms"],
        parts=Parts(arrays["counts"], arrays["blocks"], arrays["sizes"], len(arrays["lengths"])),
        low=arrays["rows"],
        codes=arrays["codes"],
        values=arrays["values"],
        lengths=arrays["lengths"],
        columns=int(arrays["columns"][0]),
    )


def write_postings(postings: Postings, folder: Path) -> None:
    """Write postings into a folder that exists."""
    for name, array in arrays_of(postings).items():
        write_array(folder / f"{name}.npy", array)


def open_inverted(folder: Path, sound: bool = False) -> Postings:
    """Memory-map the postings that `write_postings` wrote.

    Args:
        folder: holds the files.
        sound: that the numbers are is known; they need not be looked at.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: a file is damaged or does not fit the others.
    """
    arrays: dict[str, NDArray[Any]] = {}
    for name in POSTED:
        length = 1 if name == "columns" else None
        arrays[name] = open_array(folder / f"{name}.npy", type_of(name, arrays), (length,))
    try:
        postings = postings_of(arrays)
        if not sound:
            postings.check()
    except ValueError as error:
        raise ValueError(
            f"{folder} is damaged: its files do not fit together: {error}; {CURE}"
        ) from error
    return postings


def type_of(name: str, before: Mapping[str, NDArray[Any]]) -> DTypeLike:
    """Return the type of an array, by those before it in POSTED."""
    if name in ("counts", "blocks"):
        return block_type(len(before["lengths"]))
    if name == "codes":
        return code_type(len(before["values"]))
    return _TYPES[name]
