"""Arrays of NumPy that are written and read some rows at a time, from files and out of a .npz."""

import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tokenize import TokenError  # of NumPy, where brackets of a header stay open
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as npy
from numpy.typing import DTypeLike, NDArray

from embedder.files.lines import refuse_special

_HEADER = 128  # bytes: room for any shape, and aligned
_MOST_DIMENSIONS = 2


@contextmanager
def append_array(
    file: BinaryIO, dtype: DTypeLike, shape: tuple[int, ...]
) -> Iterator[Callable[[NDArray[Any]], None]]:
    """Give a function that appends rows to a .npy file, whose length is written at the end.

    Args:
        file: new, open for writing.
        dtype: of the array.
        shape: of a row.
    """
    kind, rows = np.dtype(dtype), 0

    def append(some: NDArray[Any]) -> None:
        nonlocal rows
        rows += len(some)
        file.write(np.ascontiguousarray(some, kind).data)

    file.write(bytes(_HEADER))
    yield append
    text = repr(
        {"descr": npy.dtype_to_descr(kind), "fortran_order": False, "shape": (rows, *shape)}
    )
    room = _HEADER - len(npy.magic(1, 0)) - 2
    file.seek(0)
    file.write(npy.magic(1, 0) + room.to_bytes(2, "little") + text.encode().ljust(room - 1) + b"\n")
    file.seek(0, 2)


def map_array(path: Path) -> NDArray[np.floating]:
    """Map a .npy file of (n, dim) floats.

    Raises:
        OSError: there is no such file.
        ValueError: it is something else, or cut off.
    """
    refuse_special(path, pipes=False)
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError, TokenError) as error:
        raise ValueError(f"{path}: expected a .npy file of numbers; {error}") from error
    if not isinstance(array, np.ndarray):
        raise ValueError(f"{path}: expected a .npy file, and it is a .npz; import it as npz")
    _check_vectors(array.shape, array.dtype, str(path))
    return array


class ArrayMember:
    """An array within a .npz file, read some rows at a time.

    Attributes:
        name: of it.
        dtype: of it.
        shape: of it.

    Raises:
        ValueError: it is missing, no array of numbers or text, or cut off.
    """

    def __init__(self, archive: zipfile.ZipFile, name: str) -> None:
        self.name = name
        self._place = f"{archive.filename}: array {name!r}"
        try:
            facts = archive.getinfo(f"{name}.npy")
            self._file = archive.open(facts)
            version = npy.read_magic(self._file)
            read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
            self.shape, fortran, self.dtype = read(self._file)
        except KeyError:
            raise ValueError(f"{self._place} is missing") from None
        except (ValueError, OSError, zipfile.BadZipFile, RuntimeError, TokenError) as error:
            raise ValueError(f"{self._place} cannot be read: {error}") from error
        if self.dtype.kind not in "iufU" or fortran or len(self.shape) > _MOST_DIMENSIONS:
            raise ValueError(
                f"{self._place}: expected at most {_MOST_DIMENSIONS} dimensions of numbers or "
                f"text, row by row; got {self.dtype} of {self.shape}"
            )
        numbers = int(np.prod(self.shape, dtype=object))
        if facts.file_size != self._file.tell() + numbers * self.dtype.itemsize:
            raise ValueError(
                f"{self._place} has {facts.file_size} bytes, which do not fit its shape"
            )

    def __len__(self) -> int:
        return self.shape[0] if self.shape else 1

    def take(self, count: int) -> NDArray[Any]:
        """Return the next `count` rows.

        Raises:
            ValueError: the file is cut off or damaged.
        """
        row = int(np.prod(self.shape[1:], dtype=object)) * self.dtype.itemsize
        try:
            data = self._file.read(count * row)
        except (OSError, EOFError, zipfile.BadZipFile, zipfile.zlib.error) as error:  # type: ignore[attr-defined]
            raise ValueError(f"{self._place} is damaged: {error}") from error
        if len(data) != count * row:
            raise ValueError(f"{self._place} is cut off")
        return np.frombuffer(data, self.dtype).reshape(count, *self.shape[1:])

    def check_vectors(self) -> None:
        """Refuse what are no (n, dim) floats."""
        _check_vectors(self.shape, self.dtype, self._place)


def _check_vectors(shape: tuple[int, ...], dtype: np.dtype[Any], place: str) -> None:
    if len(shape) != 2 or dtype.kind != "f" or not shape[0] or not shape[1]:
        raise ValueError(f"{place}: expected vectors, (n, dim) floats; got {dtype} of {shape}")
