"""What maps of query rows learn from: rows of queries and documents, and which answer which."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from embedder.types import Float32Array, Float64Array

TEMPERATURES = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 2.0, 50.0)
"""Inner products are divided by the best; the last leaves hardly a difference, so that a map which
only makes scores more alike gains nothing."""
FOLDS = 4


@dataclass(frozen=True, slots=True, eq=False)
class AnswerPool:
    """Queries with the documents that answer them, among others.

    Attributes:
        queries: (rows, dim) unit rows as they are compared with documents.
        owner: (rows,) which query a row is of, from 0 and rising; every query has one at least.
        documents: (m, dim) rows of documents.
        starts: (documents,) where the rows of each document begin.
        answers: (queries, documents) bool: what may be learned from; at least one for each query.
        relevant: (queries, documents) bool: those, and others that are no mistakes.
    """

    queries: Float32Array
    owner: NDArray[np.int64]
    documents: Float32Array
    starts: NDArray[np.int64]
    answers: NDArray[np.bool_]
    relevant: NDArray[np.bool_]

    @staticmethod
    def of(
        rows: tuple[Float32Array, NDArray[np.int64]],
        documents: Mapping[str, Float32Array],
        answers: Sequence[Set[str]],
        relevant: Sequence[Set[str]],
    ) -> "AnswerPool":
        """Put a pool together.

        Args:
            rows: of the queries, and their owners.
            documents: id -> (n, dim) rows.
            answers: of each query, among the documents.
            relevant: of each query.
        """
        ids = list(documents)
        lengths = [len(documents[name]) for name in ids]
        starts = np.cumsum([0, *lengths[:-1]])

        def marked(chosen: Sequence[Set[str]]) -> NDArray[np.bool_]:
            return np.array([[name in some for name in ids] for some in chosen], np.bool_)

        right = marked(answers)
        return AnswerPool(
            rows[0], rows[1], np.concatenate(list(documents.values())).astype(np.float32), starts,
            right, marked(relevant) | right,
        )  # fmt: skip

    def __len__(self) -> int:
        return len(self.answers)

    def part(self, chosen: NDArray[np.bool_], without: NDArray[np.bool_]) -> "AnswerPool":
        """Keep some queries, and of their answers those that are not left out.

        Args:
            chosen: (queries,) those that are kept, if answers are left.
            without: (documents,) those that nothing is learned from.
        """
        answers = self.answers & ~without
        chosen = chosen & answers.any(axis=1)
        kept = chosen[self.owner]
        numbers = np.cumsum(chosen) - 1
        return replace(
            self, queries=self.queries[kept], owner=numbers[self.owner[kept]],
            answers=answers[chosen], relevant=self.relevant[chosen],
        )  # fmt: skip

    def folds(self, seed: int) -> list[NDArray[np.bool_]]:
        """Return (queries,) masks of the held-out queries of each fold."""
        places = np.random.default_rng([seed, 91]).permutation(len(self)) % FOLDS
        return [places == fold for fold in range(FOLDS) if (places == fold).any()]

    def scores(self, queries: Float32Array) -> Float64Array:
        """Return (queries, documents) scores of other rows of the queries.

        A document's score for a row is that of its best row; those for several rows are summed.
        """
        by_row = np.maximum.reduceat(queries @ self.documents.T, self.starts, axis=1)
        first = np.flatnonzero(np.diff(self.owner, prepend=-1))
        return np.add.reduceat(by_row, first, axis=0).astype(np.float64)

    def targets(self) -> Float32Array:
        """Return (rows, dim): for each query row the mean of its answers, each by its best row."""
        products = self.queries @ self.documents.T
        ends = [*self.starts[1:], len(self.documents)]
        targets = np.zeros_like(self.queries)
        for at, owner in enumerate(self.owner):
            places = np.flatnonzero(self.answers[owner])
            best = [
                self.starts[one] + int(products[at, self.starts[one] : ends[one]].argmax())
                for one in places
            ]
            targets[at] = self.documents[best].mean(axis=0)
        return targets

    def log_probabilities(self, queries: Float32Array) -> Float64Array:
        """Return (queries,): how probable answers are by softmax, at the best temperature.

        Each answer stands alone among what is not relevant; the mean is over answers.
        """
        scores = self.scores(queries)
        tried = (self._logs(scores / temperature) for temperature in TEMPERATURES)
        return max(tried, key=lambda logs: float(logs.mean()))

    def _logs(self, logits: Float64Array) -> Float64Array:
        others = np.where(self.relevant, -np.inf, logits)
        top = logits.max(axis=1, keepdims=True)
        wrong = top + np.log(np.exp(others - top).sum(axis=1, keepdims=True) + 1e-300)
        logs: Float64Array = logits - np.logaddexp(wrong, logits)
        means: Float64Array = np.where(self.answers, logs, 0).sum(1) / self.answers.sum(1)
        return means
