"""What a GGUF file must be before a library reads it: every length and every tensor in the file.

The form is that of the specification in ggml-org/ggml, docs/gguf.md, versions 2 and 3: a header,
pairs of keys and values, descriptions of tensors, and after an aligned gap their data.
"""

import os
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from math import prod
from pathlib import Path
from typing import BinaryIO

from embedder.checkpoints.model_folder import MOST

MAGIC = b"GGUF"
VERSIONS = (2, 3)
MAX_KEYS = 100_000
MAX_TENSORS = 1_000_000
MAX_DIMENSIONS = 4
MAX_NESTING = 4  # arrays in arrays
MAX_ITEMS = 2**22  # of all arrays; vocabularies and merges are a third of it at most
MAX_STRING = 2**24  # bytes
_STRING, _ARRAY = 8, 9
_ARCHITECTURE = re.compile(r"[\w.-]{1,64}", re.ASCII)
_BLOCK = re.compile(r"blk\.(\d{1,9})\.")
_NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q"}
_NUMBERS |= {12: "d"}


@dataclass(frozen=True, slots=True)
class GGUFHeader:
    """What the header of a checked file says.

    Attributes:
        architecture: as in `general.architecture`, e.g. "llama".
        precisions: of the matrices, e.g. {"Q4_1", "F32"}.
        parameters: numbers in all tensors.
    """

    architecture: str
    precisions: frozenset[str]
    parameters: int


@dataclass(frozen=True, slots=True)
class _Tensor:
    """A described tensor: where its bytes begin and end, of a matrix its precision, its numbers."""

    name: str
    begin: int
    end: int
    precision: str
    parameters: int


def read_gguf_header(path: Path) -> GGUFHeader:
    """Read the header of a GGUF file, and check that all that it describes lies in the file.

    Raises:
        ValueError: it is no GGUF file, damaged, cut short, or of an unknown version or precision.
            One line that begins with the path.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        try:
            return _Reader(file, path.stat().st_size).read_header()
        except (ValueError, struct.error) as error:
            raise ValueError(f"{path}: {error}; get the GGUF file again") from error


class _Reader:
    """Reads a file from its beginning, never past its end."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self.file, self.size, self.items = file, size, 0

    def read_header(self) -> GGUFHeader:
        if self.take(4) != MAGIC:
            raise ValueError("no GGUF file: it does not begin with GGUF")
        version = self.number("I")
        if version not in VERSIONS:
            raise ValueError(f"of version {version}; expected GGUF version 2 or 3")
        tensors, keys = self.count(MAX_TENSORS, "tensors"), self.count(MAX_KEYS, "keys")
        values: dict[str, str | int | float | None] = {}
        for _ in range(keys):
            key = self.string()
            if key in values:
                raise ValueError(f"damaged: key {key[:64]!r} is there twice")
            values[key] = self.value(self.number("I"))
        alignment = values.get("general.alignment", 32)
        if not isinstance(alignment, int) or not 8 <= alignment <= 2**20:
            raise ValueError(f"general.alignment is {str(alignment)[:24]}; expected 8 to 1048576")
        described = [self.tensor() for _ in range(tensors)]
        self._check_tensors(described, -(-self.file.tell() // alignment) * alignment)
        architecture = values.get("general.architecture")
        named = isinstance(architecture, str) and _ARCHITECTURE.fullmatch(architecture)
        if not named or not described:
            raise ValueError("no language model: expected general.architecture and tensors")
        _check_counts(values, f"{architecture}.", described)
        precisions = frozenset(tensor.precision for tensor in described if tensor.precision)
        parameters = sum(tensor.parameters for tensor in described)
        return GGUFHeader(str(architecture), precisions, parameters)

    def _check_tensors(self, described: list[_Tensor], begin: int) -> None:
        """Refuse tensors past the end of the file, of one name, or that share bytes."""
        end = begin + max((tensor.end for tensor in described), default=0)
        if end > self.size:
            raise ValueError(f"cut short: {self.size:,} of at least {end:,} bytes are there")
        for before, after in pairwise(sorted(described, key=lambda tensor: tensor.begin)):
            if after.begin < before.end:
                raise ValueError(
                    f"damaged: tensors {before.name[:64]!r} and {after.name[:64]!r} overlap"
                )
        for before, after in pairwise(sorted(described, key=lambda tensor: tensor.name)):
            if after.name == before.name:
                raise ValueError(f"damaged: tensor {after.name[:64]!r} is there twice")

    def take(self, length: int) -> bytes:
        self.check_length(length)
        return self.file.read(length)

    def skip(self, length: int) -> None:
        self.check_length(length)
        self.file.seek(length, os.SEEK_CUR)

    def check_length(self, length: int) -> None:
        if length > self.size - self.file.tell():
            raise ValueError("cut short or damaged: a value reaches past the end of the file")

    def number(self, code: str) -> int:
        value: int = struct.unpack(f"<{code}", self.take(struct.calcsize(f"<{code}")))[0]
        return value

    def count(self, most: int, what: str) -> int:
        count = self.number("Q")
        if count > most:
            raise ValueError(f"damaged: {count} {what}; expected at most {most}")
        return count

    def string(self) -> str:
        length = self.number("Q")
        self.check_length(length)
        if length > MAX_STRING:
            raise ValueError(f"damaged: a string of {length} bytes; expected at most {MAX_STRING}")
        return self.take(length).decode(errors="replace")

    def value(self, kind: int, depth: int = 0) -> str | int | float | None:
        """Read a value; of arrays only the length is looked at."""
        if kind == _STRING:
            return self.string()
        if kind in _NUMBERS:
            return self.number(_NUMBERS[kind])
        if kind != _ARRAY or depth == MAX_NESTING:
            raise ValueError(f"damaged: a value of kind {kind}")
        item, length = self.number("I"), self.number("Q")
        self.items += length  # libraries make objects of each
        if self.items > MAX_ITEMS:
            raise ValueError(f"damaged: arrays of more than {MAX_ITEMS} values")
        if item in _NUMBERS:
            self.skip(length * struct.calcsize(f"<{_NUMBERS[item]}"))
        else:
            for _ in range(length):
                self.value(item, depth + 1)
        return None

    def tensor(self) -> _Tensor:
        """Read a description."""
        from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType

        name = self.string()
        dimensions = self.number("I")
        if not 1 <= dimensions <= MAX_DIMENSIONS:
            raise ValueError(f"damaged: tensor {name[:64]!r} has {dimensions} dimensions")
        values = prod(self.number("Q") for _ in range(dimensions))
        kind, offset = self.number("I"), self.number("Q")
        try:
            precision = GGMLQuantizationType(kind)
            block, size = GGML_QUANT_SIZES[precision]
        except (ValueError, KeyError):
            raise ValueError(f"tensor {name[:64]!r} is of kind {kind}, which is unknown") from None
        if values == 0 or values % block:
            raise ValueError(f"damaged: tensor {name[:64]!r} has {values} values")
        end, matrix = offset + values // block * size, dimensions > 1
        return _Tensor(name, offset, end, precision.name if matrix else "", values)


def _check_counts(
    values: Mapping[str, str | int | float | None], prefix: str, described: list[_Tensor]
) -> None:
    """Refuse numbers of parts that no model has, to which libraries count, and lost blocks."""
    for key, value in values.items():
        if not (key.startswith(prefix) and key.endswith("_count")) or value is None:
            continue  # of heads there may be an array, one number per block
        if not isinstance(value, int) or not 0 <= value <= MOST:
            raise ValueError(f"{key[:64]!r} is {str(value)[:24]!r}; expected 0 to {MOST}")
    blocks = {found[1] for tensor in described if (found := _BLOCK.match(tensor.name))}
    said = values.get(f"{prefix}block_count")
    if said != len(blocks):
        raise ValueError(
            f"damaged: {prefix}block_count is {said}; its tensors are of {len(blocks)}"
        )
