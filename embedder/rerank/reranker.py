"""What a reranker is: a query and texts in, one score a text out."""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from embedder.types import Float32Array, list_texts

Pair = tuple[str, str]
"""A query and a text."""


@runtime_checkable
class Reranker(Protocol):
    """Scores texts for a query."""

    def score(self, query: str, texts: Sequence[str]) -> Float32Array:
        """Return a score a text, (n,) float32, finite; a higher one is more relevant."""
        ...


class PairReranker(ABC):
    """A reranker of ours: what several queries or texts share is read once, and all is counted.

    A pair that comes twice is scored once, so that equal texts have equal scores.

    Attributes:
        name: as a command names it.
    """

    name: str
    _fingerprint: str

    def __init__(self) -> None:
        self._counts = Counter(pairs=0, tokens=0, truncated=0)

    @property
    def fingerprint(self) -> str:
        """Canonical JSON object of everything that changes a score."""
        return self._fingerprint

    @property
    def counts(self) -> Mapping[str, int]:
        """Totals since creation.

        That is: pairs that were scored; tokens that went through the model, what is shared counted
        once; and truncated, texts that were longer than what is read, counted once a call.
        """
        return dict(self._counts)

    def score(self, query: str, texts: Sequence[str]) -> Float32Array:
        """Score texts for one query, see `Reranker`.

        >>> reranker = lw.load_reranker("maxsim", model="bundled")
        >>> scores = reranker.score("green tea", ["green tea", "black rock"])
        >>> bool(scores[0] > scores[1])
        True
        """
        return self.score_many([(query, texts)])[0]

    def score_many(self, asked: Sequence[tuple[str, Sequence[str]]]) -> list[Float32Array]:
        """Score texts for several queries; what they share is read once.

        Args:
            asked: queries, each with its texts.

        Returns:
            The scores of each query's texts, in order.

        Raises:
            TypeError: a query or a text is no str.
            ValueError: a score is NaN or infinite.
        """
        listed = [(list_texts([query])[0], list_texts(texts)) for query, texts in asked]
        pairs = list(dict.fromkeys((query, text) for query, texts in listed for text in texts))
        scores = dict(zip(pairs, self._score_pairs(pairs).tolist(), strict=True))
        self._counts["pairs"] += len(pairs)
        rows = [
            np.array([scores[query, text] for text in texts], np.float32) for query, texts in listed
        ]
        for (query, texts), row in zip(listed, rows, strict=True):
            check_scores(row, query, texts)
        return rows

    @abstractmethod
    def _score_pairs(self, pairs: Sequence[Pair]) -> Float32Array:
        """Score distinct pairs, (n,) float32 in order, and count tokens and truncated texts."""


def check_scores(scores: Float32Array, query: str, texts: Sequence[str]) -> None:
    """Refuse what are no scores of texts, which could not be ranked.

    Raises:
        ValueError: another number of them, or one is NaN or infinite.
    """
    if scores.shape != (len(texts),):
        raise ValueError(
            f"a reranker must give one score a text, {len(texts)} here; got {scores.shape}"
        )
    bad = np.flatnonzero(~np.isfinite(scores))
    if len(bad):
        raise ValueError(
            f"the reranker gives {scores[bad[0]]} for the query {query[:60]!r} and the text "
            f"{texts[bad[0]][:60]!r}; check the model and its dtype"
        )
