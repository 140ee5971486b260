"""Figures of a plan: a number, its unit, and the formula that it comes from."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class PlanFigure:
    """One number of a plan.

    Attributes:
        name: what it is.
        value: in `unit`.
        unit: "bytes", "hours", "nodes", ...
        formula: how it was computed, in words and numbers.
    """

    name: str
    value: float
    unit: str
    formula: str


@dataclass(frozen=True, slots=True)
class GPU:
    """Several accelerators of one kind.

    Attributes:
        name: kind, as in `PEAKS`.
        count: how many.
    """

    name: str
    count: int

    @staticmethod
    def parse(text: str) -> "GPU":
        """Read "h100:8"; without a number it is one.

        Raises:
            ValueError: the kind is not known, or the number is none.
        """
        name, _, count = text.lower().partition(":")
        if name not in PEAKS:
            raise ValueError(f"--gpu is one of {', '.join(PEAKS)}, as in h100:8; got {text!r}")
        if count and not (count.isascii() and count.isdigit() and int(count) > 0):
            raise ValueError(f"--gpu takes a number of at least 1, as in h100:8; got {text!r}")
        return GPU(name, int(count or 1))

    @property
    def flops(self) -> float:
        """Operations a second of all, at their peak."""
        return PEAKS[self.name] * 1e12 * self.count


# Dense half precision (bfloat16, or float16 where there is no other), by the makers' data sheets.
PEAKS: Mapping[str, float] = MappingProxyType(
    {
        **{"t4": 65.0, "v100": 125.0, "l4": 121.0, "a10": 125.0, "rtx4090": 165.0},
        **{"a100": 312.0, "l40s": 362.0, "h100": 989.0, "h200": 989.0, "b200": 2250.0},
    }
)
"""TFLOP/s of one accelerator."""


@dataclass(frozen=True, slots=True)
class IndexPlan:
    """Everything that is foreseen, in the order in which it is shown.

    Attributes:
        collection: what is taken for granted of documents and model.
        index: bytes on disk of each part.
        memory: bytes in use while texts are read, and while queries are answered.
        encoding: hours, here and on accelerators.
        factories: bytes a vector of each way to search dense rows.
        scale: nodes and shards for larger collections.
    """

    collection: tuple[PlanFigure, ...]
    index: tuple[PlanFigure, ...]
    memory: tuple[PlanFigure, ...]
    encoding: tuple[PlanFigure, ...]
    factories: tuple[PlanFigure, ...]
    scale: tuple[PlanFigure, ...]

    def to_json(self) -> dict[str, object]:
        """Return all figures as lists of objects, by group."""
        return asdict(self)
