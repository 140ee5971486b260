"""RM3: a query mixed with the language model of the documents that it finds first."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import regex  # type: ignore[import-untyped]

from embedder.types import Float64Array
from retrieval.feedback.settings import FeedbackSettings, keep_heaviest, scale_rows


@dataclass(frozen=True, slots=True)
class RM3(FeedbackSettings):
    """Relevance model 3 (Abdul-Jaleel et al., TREC 2004), for channels of terms.

    The model of relevance is that of Lavrenko and Croft (SIGIR 2001), without smoothing: the sum
    of the term distributions of the documents, each times the document's score. As in Anserini, a
    document has a say with its `terms` heaviest terms alone, and the model keeps as many.

    Attributes:
        weight: of the query in the mixture, 0 to 1.
    """

    weight: float = 0.5

    name: ClassVar[str] = "rm3"
    kinds: ClassVar[tuple[str, ...]] = ("inverted",)
    words: ClassVar[Any] = regex.compile(r"[\p{L}\p{M}\p{N}]{2,20}")  # [a-z0-9] in Anserini

    def __post_init__(self) -> None:
        FeedbackSettings.__post_init__(self)
        if self.weight > 1:
            raise ValueError(f"rm3 takes a weight of the query from 0 to 1; got {self.weight:g}")

    def model(self, documents: Float64Array, scores: Float64Array) -> Float64Array:
        """Return what documents say of relevance: (t,) weights with sum 1, or zeros.

        Args:
            documents: (n, t) weights of terms, not below 0.
            scores: (n,) of the documents; below 0 counts as 0.
        """
        shares = scale_rows(keep_heaviest(documents, self.terms), 1)
        # Added document by document: the order of a matrix product may part terms that are equal.
        summed = np.add.reduce(shares * np.maximum(scores, 0)[:, None], axis=0)
        return scale_rows(keep_heaviest(summed, self.terms), 1)

    def mix(self, query: Float64Array, model: Float64Array) -> Float64Array:
        """Return the (t,) weights of the new query."""
        return self.weight * scale_rows(query, 1) + (1 - self.weight) * model
