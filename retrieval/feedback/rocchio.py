"""Rocchio: a query moved towards the mean of the documents that it finds first."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from embedder.types import Float64Array
from retrieval.feedback.settings import FeedbackSettings, keep_heaviest, scale_rows


@dataclass(frozen=True, slots=True)
class Rocchio(FeedbackSettings):
    """Rocchio's feedback (in Salton, "The SMART retrieval system", 1971), for every channel.

    Terms are treated as Anserini does: documents of length 1, their mean cut to its `terms`
    heaviest, length 1 again. Dense rows as by Li et al. (TOIS 2023, "Pseudo Relevance Feedback
    with Deep Language Models and Dense Retrievers"), whose average of the query and n documents
    is alpha 1, beta n.

    Attributes:
        alpha: weight of the query.
        beta: weight of the mean of the documents.
    """

    alpha: float = 1.0
    beta: float = 0.75

    name: ClassVar[str] = "rocchio"

    def __post_init__(self) -> None:
        FeedbackSettings.__post_init__(self)
        if self.alpha == self.beta == 0:
            raise ValueError("rocchio takes an alpha or a beta above 0; got 0 for both")

    def model(self, documents: Float64Array, scores: Float64Array) -> Float64Array:
        """Return what documents say of relevance: (t,) weights of length 1, or zeros.

        Args:
            documents: (n, t) weights of terms, not below 0.
            scores: (n,) of the documents, of which only their number counts.
        """
        mean = np.add.reduce(scale_rows(documents, 2), axis=0) / len(scores)
        return scale_rows(keep_heaviest(mean, self.terms), 2)

    def mix(self, query: Float64Array, model: Float64Array) -> Float64Array:
        """Return the (t,) weights of the new query."""
        return self.alpha * scale_rows(query, 2) + self.beta * model

    def mix_dense(self, query: Float64Array, documents: Float64Array) -> Float64Array:
        """Return the new query, (dim,), of one and the (n, dim) rows of documents."""
        mixed: Float64Array = self.alpha * query + self.beta * documents.mean(axis=0)
        return mixed
