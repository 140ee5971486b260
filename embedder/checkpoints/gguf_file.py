"""What a GGUF file must be before a library reads it: every length and every tensor in the file.

The form is that of the specification in ggml-org/ggml, docs/gguf.md, versions 2 and 3: a header,
pairs of keys and values, descriptions of tensors, and after an aligned gap their data.
"""

import os
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from math import isfinite, prod
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from embedder.checkpoints.model_folder import MOST

if TYPE_CHECKING:
    from gguf.constants import GGMLQuantizationType

Value = str | int | float | None
"""Of a key: text, number, or None for an array."""

MAGIC = b"GGUF"
VERSIONS = (2, 3)
ARCHITECTURES = ("falcon", "llama", "nemotron", "phi3", "qwen2", "qwen3", "stablelm", "starcoder2")
"""Those whose conversion is compared with its source by tests."""
MAX_KEYS = 10_000
MAX_TENSORS = 100_000
MAX_DIMENSIONS = 4
MAX_CONTEXT = 2**28  # tokens
MAX_ITEMS = 2**22  # of all arrays; vocabularies and merges are a third of it at most
ITEMS, PER_TOKEN = 2**18, 8  # of all arrays, libraries being slow: so many, and more by token
MAX_STRING = 2**24  # bytes
_TABLE = "token_embd.weight"
_ROPE = "rope_freqs.weight"
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
        parameters: numbers in all tensors of weights.
        keys: texts and numbers by key; None for arrays.
        rope_factors: what each frequency of the rotary positions is divided by, as converters
            write down the scaling of Llama 3.1; empty where they are not scaled so.
    """

    architecture: str
    precisions: frozenset[str]
    parameters: int
    keys: Mapping[str, Value]
    rope_factors: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class _Tensor:
    """A described tensor: where its bytes begin and end, of a matrix its precision, its numbers.

    `rows` is its last dimension, in the order of the file.
    """

    name: str
    begin: int
    end: int
    precision: str
    parameters: int
    rows: int


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
        except UnicodeDecodeError as error:
            raise ValueError(f"{path}: damaged: a text is not UTF-8; get the file again") from error
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
            swapped = int.from_bytes(version.to_bytes(4, "little")) in VERSIONS
            said = "big-endian" if swapped else f"of version {version}"
            raise ValueError(f"{said}; expected GGUF version 2 or 3, little-endian")
        tensors, keys = self.count(MAX_TENSORS, "tensors"), self.count(MAX_KEYS, "keys")
        values: dict[str, Value] = {}
        for _ in range(keys):
            key = self.string()
            if key in values:
                raise ValueError(f"damaged: key {key[:64]!r} is there twice")
            values[key] = self.value(self.number("I"))
        alignment = values.get("general.alignment", 32)
        if not isinstance(alignment, int) or not 8 <= alignment <= 2**20:
            raise ValueError(f"general.alignment is {str(alignment)[:24]}; expected 8 to 1048576")
        described = [self.tensor() for _ in range(tensors)]
        begin = -(-self.file.tell() // alignment) * alignment
        self._check_tensors(described, begin)
        architecture = values.get("general.architecture")
        named = isinstance(architecture, str) and _ARCHITECTURE.fullmatch(architecture)
        if not named or not described:
            raise ValueError("no language model: expected general.architecture and tensors")
        _check_counts(values, f"{architecture}.", described)
        self._check_items(described)
        precisions = frozenset(tensor.precision for tensor in described if tensor.precision)
        parameters = sum(tensor.parameters for tensor in described if tensor.name != _ROPE)
        factors = self.rope_factors(described, begin)
        return GGUFHeader(str(architecture), precisions, parameters, values, factors)

    def rope_factors(self, described: list[_Tensor], begin: int) -> tuple[float, ...]:
        """Read the factors of rotary positions, where there are some."""
        for tensor in described:
            if tensor.name == _ROPE:
                if tensor.end - tensor.begin != 4 * tensor.parameters or tensor.parameters > MOST:
                    raise ValueError(f"damaged: {_ROPE} is no vector of float32")
                self.file.seek(begin + tensor.begin)
                factors = np.frombuffer(self.take(4 * tensor.parameters), "<f4")
                return tuple(factors.tolist())
        return ()

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

    def _check_items(self, described: list[_Tensor]) -> None:
        """Refuse arrays far beyond a vocabulary: libraries take 60 us for each value."""
        tokens = max((tensor.rows for tensor in described if tensor.name == _TABLE), default=0)
        most = ITEMS + PER_TOKEN * tokens
        if self.items > most:
            raise ValueError(f"damaged: arrays of {self.items} values; expected at most {most}")

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
        return self.take(length).decode()

    def value(self, kind: int) -> Value:
        """Read a value; of arrays only the length is looked at."""
        if kind == _STRING:
            return self.string()
        if kind in _NUMBERS:
            return self.number(_NUMBERS[kind])
        if kind != _ARRAY:
            raise ValueError(f"damaged: a value of kind {kind}")
        item, length = self.number("I"), self.number("Q")
        if item != _STRING and item not in _NUMBERS:
            raise ValueError(f"an array of values of kind {item}, which transformers cannot read")
        self.items += length  # libraries make objects of each
        if self.items > MAX_ITEMS:
            raise ValueError(f"damaged: arrays of more than {MAX_ITEMS} values")
        if item in _NUMBERS:
            self.skip(length * struct.calcsize(f"<{_NUMBERS[item]}"))
        else:
            self.skip_strings(length)
        return None

    def skip_strings(self, count: int) -> None:
        """Go past strings; there are 100,000 in a small model, so this is kept short."""
        read, at = self.file.read, self.file.tell()
        for _ in range(count):
            length = int.from_bytes(read(8), "little")
            at += 8 + length
            if at > self.size or length > MAX_STRING:
                raise ValueError("cut short or damaged: a value reaches past the end of the file")
            read(length).decode()  # transformers would say that some JSON is wrong

    def tensor(self) -> _Tensor:
        """Read a description."""
        from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType

        name = self.string()
        dimensions = self.number("I")
        if not 1 <= dimensions <= MAX_DIMENSIONS:
            raise ValueError(f"damaged: tensor {name[:64]!r} has {dimensions} dimensions")
        shape = [self.number("Q") for _ in range(dimensions)]
        values = prod(shape)
        kind, offset = self.number("I"), self.number("Q")
        try:
            precision = GGMLQuantizationType(kind)
            block, size = GGML_QUANT_SIZES[precision]
        except (ValueError, KeyError):
            raise ValueError(f"tensor {name[:64]!r} is of kind {kind}, which is unknown") from None
        if not _is_readable(precision):
            raise ValueError(
                f"tensor {name[:64]!r} is of kind {precision.name}, which transformers cannot read"
            )
        if values == 0 or values % block:
            raise ValueError(f"damaged: tensor {name[:64]!r} has {values} values")
        end, matrix = offset + values // block * size, dimensions > 1
        return _Tensor(name, offset, end, precision.name if matrix else "", values, shape[-1])


@cache
def _is_readable(precision: "GGMLQuantizationType") -> bool:
    """Tell whether the gguf package, by which transformers reads, can widen numbers of a kind."""
    from gguf.constants import GGML_QUANT_SIZES
    from gguf.quants import dequantize

    width = GGML_QUANT_SIZES[precision][1]
    empty = np.zeros((1, width), np.float32 if precision.name in ("F32", "F16") else np.uint8)
    try:
        dequantize(empty, precision)
    except NotImplementedError:
        return False
    return True


def _check_counts(values: Mapping[str, Value], prefix: str, described: list[_Tensor]) -> None:
    """Refuse numbers that no model has, to some of which libraries count, and lost blocks."""
    for key, value in values.items():
        if not (key.startswith(prefix) and key.endswith("_count")) or value is None:
            continue  # of heads there may be an array, one number per block
        if not isinstance(value, int) or not 0 <= value <= MOST:
            raise ValueError(f"{key[:64]!r} is {str(value)[:24]!r}; expected 0 to {MOST}")
    for key, value in values.items():
        if isinstance(value, float) and not isfinite(value):
            raise ValueError(f"damaged: {key[:64]!r} is {value}")
    context, base = (
        values.get(f"{prefix}context_length", 2),
        values.get(f"{prefix}rope.freq_base", 1.0),
    )
    if not isinstance(context, int) or not 2 <= context <= MAX_CONTEXT:
        raise ValueError(f"context_length is {str(context)[:24]}; expected 2 to {MAX_CONTEXT}")
    if not isinstance(base, float) or base <= 0:
        raise ValueError(f"rope.freq_base is {str(base)[:24]}; expected a number above 0")
    blocks = {found[1] for tensor in described if (found := _BLOCK.match(tensor.name))}
    said = values.get(f"{prefix}block_count")
    if said != len(blocks):
        raise ValueError(
            f"damaged: {prefix}block_count is {said}; its tensors are of {len(blocks)}"
        )
