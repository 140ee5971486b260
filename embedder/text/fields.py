"""A document's text by its fields, and the weights of fields, for encoders that tell them apart."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Protocol, runtime_checkable

from embedder.files.name_lists import first_repeated
from embedder.types import Representation

TITLE, TEXT = "title", "text"
_LEAST, _MOST = 1e-6, 1e6  # weights; counts times them stay within float32


@dataclass(frozen=True, slots=True)
class FieldedText:
    """A passage and the fields of its document.

    Attributes:
        text: the passage.
        title: of the document; "" where there is none.
        opening: beginning of the document, the same for all its passages.
        metadata: other fields by name, as JSON has them.
    """

    text: str
    title: str = ""
    opening: str = ""
    metadata: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}), hash=False)

    @property
    def content(self) -> str:
        """Title and passage, as an encoder that knows no fields reads them."""
        return f"{self.title} {self.text}".strip()

    def read(self, name: str) -> str:
        """Return the text of a field, "" where the document has none of that name."""
        if name == TEXT:
            return self.text
        return self.title if name == TITLE else " ".join(_strings(self.metadata.get(name)))


@runtime_checkable
class EncodesFields(Protocol):
    """An encoder that can tell the fields of a document apart."""

    @property
    def reads_fields(self) -> bool:
        """Whether it is set to; else `encode` of title and text is all that it needs."""
        ...

    def encode_fields(self, passages: Sequence[FieldedText]) -> Representation:
        """Encode passages of documents in order, as `Encoder.encode` does with texts."""
        ...


def parse_fields(text: str) -> dict[str, float]:
    """Read weights of fields: "title^2,text"; a field without a weight has 1.

    Raises:
        ValueError: a name is missing or comes twice, or a weight is no number from 1e-6 to 1e6.
    """
    parsed = [_parse_field(part, text) for part in text.split(",")]
    if (name := first_repeated([name for name, _ in parsed])) is not None:
        raise ValueError(f"fields {text!r}: {name!r} comes twice; give each field once")
    return dict(parsed)


def format_fields(weights: Mapping[str, float]) -> str:
    """Write weights as `parse_fields` reads them, 1 left out."""
    return ",".join(
        name if weight == 1 else f"{name}^{float(weight)!r}".removesuffix(".0")
        for name, weight in weights.items()
    )


def _parse_field(part: str, text: str) -> tuple[str, float]:
    name, mark, number = part.strip().partition("^")
    try:
        weight = float(number) if mark else 1.0
    except ValueError:
        weight = math.nan
    if not name.strip() or not _LEAST <= weight <= _MOST:
        raise ValueError(
            f"fields are names with weights from 1e-6 to 1e6, as in 'title^2,text'; "
            f"got {part.strip()!r} in {text!r}"
        )
    return name.strip(), weight


def _strings(value: object) -> Iterator[str]:
    """Yield the words of a value of metadata: texts, numbers, and lists of them."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield str(value)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _strings(item)
