"""Batches of texts that a reranker scores for queries."""

from dataclasses import dataclass

from embedder.rerank.prompted import PromptReranker
from embedder.rerank.reranker import PairReranker
from embedder.types import Float32Array
from lastword.server.embeddings.encoders import refuse_cut


@dataclass(frozen=True, slots=True)
class RerankedTexts:
    """A query and its texts, in a batch with those of others.

    Attributes:
        query: not empty.
        texts: the same.
        cut: whether they may be cut where the model reads no more.
    """

    query: str
    texts: tuple[str, ...]
    cut: bool


@dataclass(frozen=True, eq=False)
class ServedReranker:
    """What `/rerank` scores by.

    Attributes:
        reranker: loaded.
    """

    reranker: PairReranker

    @property
    def gives_log_odds(self) -> bool:
        """Whether the logistic function makes probabilities of its scores."""
        return isinstance(self.reranker, PromptReranker)

    def __call__(self, items: list[RerankedTexts]) -> list[Float32Array]:
        """Score the texts of each query.

        Raises:
            TooLongError: one was cut that must not be.
            ValueError: a score is none.
        """
        before = self.reranker.counts["truncated"]
        scores = self.reranker.score_many([(item.query, item.texts) for item in items])
        refuse_cut(items, self.reranker.counts["truncated"] - before)
        return scores
