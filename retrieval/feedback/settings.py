"""What RM3 and Rocchio have in common: which documents and which of their terms are used."""

from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np
import regex  # type: ignore[import-untyped]

from embedder.arguments import check_fields
from embedder.types import Float64Array

LARGEST = 1_000_000  # of a setting: what it makes of a weight can be held in float32


@dataclass(frozen=True, slots=True)
class FeedbackSettings:
    """Settings of every method; numbers are those of Anserini.

    Attributes:
        documents: how many are taken, the best first, at least 1.
        terms: how many the feedback adds, at least 1; dense rows have none.
        common: a term in a larger share of the rows than this adds nothing, 0 to 1.
        fused: documents are the best of the fused run, not of the channel's own.
    """

    documents: int = 10
    terms: int = 10
    common: float = 0.1
    fused: bool = False

    name: ClassVar[str] = ""
    kinds: ClassVar[tuple[str, ...]] = ("dense", "inverted")
    """Kinds of channels whose queries it changes."""
    words: ClassVar[Any] = regex.compile(r"(?s).{2,20}")
    """Names of terms that may be added."""

    def __post_init__(self) -> None:
        check_fields(self)
        if self.documents < 1 or self.terms < 1 or not 0 <= self.common <= 1:
            raise ValueError(
                "feedback takes at least 1 document and 1 term, and common from 0 to 1; got "
                f"documents={self.documents}, terms={self.terms}, common={self.common:g}"
            )
        for field in fields(self):
            value = getattr(self, field.name)
            if not 0 <= value <= LARGEST:
                raise ValueError(f"{field.name} of feedback is 0 to {LARGEST:,}; got {value!s:.20}")

    def __str__(self) -> str:
        """Return the text that `read_feedback` reads as an equal value."""
        changed = [
            ("from=fused" if field.name == "fused" else f"{field.name}={value:.15g}")
            for field in fields(self)
            if (value := getattr(self, field.name)) != field.default
        ]
        return ":".join([self.name, ",".join(changed)] if changed else [self.name])


def keep_heaviest(weights: Float64Array, terms: int) -> Float64Array:
    """Set all but the heaviest of each row's weights to 0; of equal ones the first stay.

    Args:
        weights: (..., t), not below 0.
        terms: how many stay.
    """
    order = np.argsort(-weights, axis=-1, kind="stable")[..., :terms]
    kept = np.zeros_like(weights)
    np.put_along_axis(kept, order, np.take_along_axis(weights, order, axis=-1), axis=-1)
    return kept


def scale_rows(weights: Float64Array, norm: int) -> Float64Array:
    """Divide each row (..., t) by its norm, 1 or 2; a row of zeros stays."""
    lengths = np.linalg.norm(weights, ord=norm, axis=-1, keepdims=True)
    scaled: Float64Array = weights / np.where(lengths == 0, 1, lengths)
    return scaled
