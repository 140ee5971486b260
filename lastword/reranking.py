"""Rerankers as a program names them: by a name, which is loaded once, or as they are."""

from collections.abc import Mapping

from embedder.rerank.load import load_reranker
from embedder.rerank.reranker import Reranker
from embedder.types import Encoder
from retrieval.rerank.reranking import Reranking

Rerank = str | Reranker | Reranking
"""How documents are reranked: by the name of a reranker, or one."""


class NamedRerankers:
    """The rerankers that were asked for by name; each is loaded once."""

    def __init__(self) -> None:
        self._loaded: dict[str, Reranker] = {}

    def choose(
        self, rerank: Rerank | None, depth: int, encoders: Mapping[str, Encoder]
    ) -> Reranking | None:
        """Return how documents are reranked.

        Args:
            rerank: as a call has it.
            depth: documents that are read, where `rerank` does not say.
            encoders: of the index; the first language model among them is shared.
        """
        if rerank is None or isinstance(rerank, Reranking):
            return rerank
        if isinstance(rerank, str):
            if rerank not in self._loaded:
                self._loaded[rerank] = load_reranker(rerank, encoders)
            rerank = self._loaded[rerank]
        return Reranking(rerank, depth)
