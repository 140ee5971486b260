"""Tensors of a safetensors file for numpy, which has no numbers of 8 bits."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embedder.files.config_file import parse_json
from embedder.types import Float32Array

_STORED: Mapping[str, np.dtype[Any]] = {
    "F16": np.dtype("<f2"),
    "F32": np.dtype("<f4"),
    "F8_E4M3": np.dtype(np.uint8),
}


def read_tensors(path: Path) -> dict[str, NDArray[Any]]:
    """Read the tensors of a safetensors file, as they are stored: float8 as bytes.

    Raises:
        ValueError: the file is damaged, holds other types, or holds NaN or infinity.
    """
    data = np.fromfile(path, np.uint8)
    start = 8 + int.from_bytes(data[:8].tobytes(), "little")
    if len(data) < 8 or start > len(data):
        raise ValueError(f"{path}: damaged or not downloaded to its end")
    header: Mapping[str, Any] = parse_json(data[8:start].tobytes(), str(path))
    tensors = {}
    for name, facts in header.items():
        if name == "__metadata__":
            continue
        try:
            kind, shape, (first, end) = (
                _STORED[facts["dtype"]],
                facts["shape"],
                facts["data_offsets"],
            )
            values = data[start + first : start + end].view(kind).reshape(shape)
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{path}: tensor {name} cannot be read") from error
        tensors[name] = values
        if not _is_finite(values):
            raise ValueError(f"{path}: tensor {name} holds NaN or infinity")
    return tensors


def _is_finite(values: NDArray[Any]) -> bool:
    if values.dtype == np.uint8:  # float8 has no infinity, and two NaN
        return int(np.bitwise_and(values, 0x7F).max(initial=0)) < 0x7F
    return bool(np.isfinite(values).all())


def _float8_numbers() -> Float32Array:
    """Return what the 256 bytes of float8_e4m3fn stand for (Micikevicius et al., 2022)."""
    byte = np.arange(256)
    exponent, mantissa = byte >> 3 & 15, byte & 7
    normal = np.ldexp(1 + mantissa / 8, exponent - 7)
    numbers = np.where(exponent == 0, np.ldexp(mantissa / 8, -6), normal)
    numbers[byte & 0x7F == 0x7F] = np.nan
    signed: Float32Array = np.where(byte >> 7 == 1, -numbers, numbers).astype(np.float32)
    return signed


_FLOAT8 = _float8_numbers()


def widened(values: NDArray[Any]) -> Float32Array:
    """Return stored numbers as float32."""
    if values.dtype == np.uint8:  # clip: every byte is within, and need not be checked
        return _FLOAT8.take(values, mode="clip")
    wide: Float32Array = values.astype(np.float32)
    return wide
