"""What a GGUF file must be before a library reads it: every length and every tensor in the file.

The form is that of the specification in ggml-org/ggml, docs/gguf.md, versions 2 and 3: a header,
pairs of keys and values, descriptions of tensors, and after an aligned gap their data.
"""

import struct
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import BinaryIO

MAGIC = b"GGUF"
VERSIONS = (2, 3)
MAX_KEYS = 100_000
MAX_TENSORS = 1_000_000
MAX_DIMENSIONS = 4
MAX_NESTING = 4  # arrays in arrays
_STRING, _ARRAY = 8, 9
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
        self.file, self.size = file, size

    def read_header(self) -> GGUFHeader:
        if self.take(4) != MAGIC:
            raise ValueError("no GGUF file: it does not begin with GGUF")
        version = self.number("I")
        if version not in VERSIONS:
            raise ValueError(f"of version {version}; expected GGUF version 2 or 3")
        tensors, keys = self.count(MAX_TENSORS, "tensors"), self.count(MAX_KEYS, "keys")
        values = {}
        for _ in range(keys):
            key = self.string()
            values[key] = self.value(self.number("I"))
        alignment = values.get("general.alignment", 32)
        if not isinstance(alignment, int) or not 8 <= alignment <= 2**20:
            raise ValueError(f"general.alignment is {str(alignment)[:24]}; expected 8 to 1048576")
        described = [self.tensor() for _ in range(tensors)]
        begin = -(-self.file.tell() // alignment) * alignment
        end = max((begin + offset + size for offset, size, _, _ in described), default=0)
        if end > self.size:
            raise ValueError(f"cut short: {self.size:,} of at least {end:,} bytes are there")
        architecture = values.get("general.architecture")
        if not isinstance(architecture, str) or not described:
            raise ValueError("no language model: expected general.architecture and tensors")
        precisions = frozenset(name for _, _, name, _ in described if name)
        return GGUFHeader(architecture, precisions, sum(values for *_, values in described))

    def take(self, length: int) -> bytes:
        if length > self.size - self.file.tell():
            raise ValueError("cut short or damaged: a value reaches past the end of the file")
        return self.file.read(length)

    def number(self, code: str) -> int:
        value: int = struct.unpack(f"<{code}", self.take(struct.calcsize(f"<{code}")))[0]
        return value

    def count(self, most: int, what: str) -> int:
        count = self.number("Q")
        if count > most:
            raise ValueError(f"damaged: {count} {what}; expected at most {most}")
        return count

    def string(self) -> str:
        return self.take(self.number("Q")).decode(errors="replace")

    def value(self, kind: int, depth: int = 0) -> str | int | None:
        """Read a value; of arrays only the length is looked at."""
        if kind == _STRING:
            return self.string()
        if kind in _NUMBERS:
            return self.number(_NUMBERS[kind])
        if kind != _ARRAY or depth == MAX_NESTING:
            raise ValueError(f"damaged: a value of kind {kind}")
        item, length = self.number("I"), self.number("Q")
        if item in _NUMBERS:
            self.take(length * struct.calcsize(f"<{_NUMBERS[item]}"))
        else:
            for _ in range(length):  # ends at the end of the file at the latest
                self.value(item, depth + 1)
        return None

    def tensor(self) -> tuple[int, int, str, int]:
        """Read a description; return offset, bytes, of a matrix its precision, and its values."""
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
        name = precision.name if dimensions > 1 else ""
        return offset, values // block * size, name, values
