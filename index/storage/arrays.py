"""Arrays on disk: .npy files, memory-mapped, and nothing in them taken on trust."""

import mmap
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import DTypeLike, NDArray

from embedder.files.durable import naming, open_new
from index.storage.checksums import CURE, open_own

_MAGIC = b"\x93NUMPY\x01\x00"
# What numpy.save writes for arrays of numbers, to the byte; NumPy itself would evaluate it.
_HEADER = re.compile(
    rb"\{'descr': '([<|][a-z][0-9])', 'fortran_order': False, 'shape': \(([0-9]{1,15})(?:,|"
    rb", ([0-9]{1,15}))\), \} *\n"
)
_CHUNK = 1 << 22  # numbers compared at a time: a mapped array may exceed memory


def open_array(path: Path, dtype: DTypeLike, shape: tuple[int | None, ...]) -> NDArray[Any]:
    """Memory-map a .npy file of one or two dimensions.

    Args:
        path: of the file.
        dtype: what it must hold.
        shape: what it must have; None where any length will do.

    Raises:
        OSError: it is missing or cannot be read.
        ValueError: it is damaged, or holds something else; the message names it.
    """
    with naming(path), open_own(path) as file:
        header = file.read(len(_MAGIC) + 2)
        length = int.from_bytes(header[len(_MAGIC) :], "little")
        match = _HEADER.fullmatch(file.read(length))
        if not header.startswith(_MAGIC) or match is None:
            raise ValueError(f"{path} is damaged: it is no .npy file of numbers; {CURE}")
        expected_dtype = np.dtype(dtype)
        file_shape = tuple(int(part) for part in match.groups()[1:] if part is not None)
        fits = len(file_shape) == len(shape) and all(
            expected in (None, size) for expected, size in zip(shape, file_shape, strict=True)
        )
        if match[1].decode() != expected_dtype.str or not fits:
            raise ValueError(
                f"{path} is damaged: expected {expected_dtype.name} of shape {_spelled(shape)}, "
                f"got {match[1].decode()} of {_spelled(file_shape)}; {CURE}"
            )
        start, count = len(header) + length, int(np.prod(file_shape, dtype=object))
        size = os.fstat(file.fileno()).st_size
        if size != start + count * expected_dtype.itemsize:
            raise ValueError(
                f"{path} is damaged: an array of shape {_spelled(file_shape)} takes "
                f"{start + count * expected_dtype.itemsize} bytes, and it has {size}; {CURE}"
            )
        if not count:
            return np.zeros(file_shape, expected_dtype)
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    return np.frombuffer(mapped, expected_dtype, count, start).reshape(file_shape)


def write_array(path: Path, array: NDArray[Any]) -> None:
    """Write an array to a new .npy file.

    Raises:
        OSError: it is there already, or cannot be written; the error names it.
    """
    with naming(path), open_new(path) as file:
        np.save(file, array, allow_pickle=False)


def write_rows(
    path: Path, dtype: DTypeLike, shape: tuple[int, ...], parts: Iterable[NDArray[Any]]
) -> None:
    """Write an array to a new .npy file, the bytes of `write_array`, part by part.

    Args:
        path: of the file.
        dtype: of the array; parts of another are converted.
        shape: of the array.
        parts: of its rows, in order, all of them.

    Raises:
        OSError: as `write_array`.
    """
    kind = np.dtype(dtype)
    head = {"descr": npy.dtype_to_descr(kind), "fortran_order": False, "shape": shape}
    with naming(path), open_new(path) as file:
        npy.write_array_header_1_0(file, head)
        for part in parts:
            file.write(np.ascontiguousarray(part, kind).data)


def read_only(array: NDArray[Any]) -> NDArray[Any]:
    """Return the same numbers, not to be written: compiled code is then that for mapped ones."""
    view = array.view()
    view.flags.writeable = False
    return view


def ascends(array: NDArray[Any], strictly: bool) -> bool:
    """Tell whether a 1-d array never falls, or always rises."""
    compare = np.greater if strictly else np.greater_equal
    for at in range(0, len(array) - 1, _CHUNK):
        part = array[at : at + _CHUNK + 1]
        if not compare(part[1:], part[:-1]).all():
            return False
    return True


def ascends_within(array: NDArray[Any], bounds: NDArray[np.int64]) -> bool:
    """Tell whether every part of a 1-d array rises; parts are bounds[i] to bounds[i + 1].

    Args:
        array: (n,).
        bounds: rises from 0 to n.
    """
    for at in range(0, len(array) - 1, _CHUNK):
        part = array[at : at + _CHUNK + 1]
        fine = part[1:] > part[:-1]
        first, last = np.searchsorted(bounds, [at + 1, at + len(part)])
        fine[bounds[first:last] - (at + 1)] = True  # where a part begins
        if not fine.all():
            return False
    return True


def _spelled(shape: tuple[int | None, ...]) -> str:
    return "(" + ", ".join("n" if size is None else str(size) for size in shape) + ")"
