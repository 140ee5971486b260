"""A differentiable loss of what stands before queries, over document vectors that are fixed."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from embedder.encoders.adapted import check_plain
from embedder.encoders.llm import LLMEncoder
from embedder.inputs.tokenized import TokenizedText
from embedder.models.soft_prompt import SoftTokens, soft_states
from embedder.prompts.prompt import Prompt
from embedder.types import Role

if TYPE_CHECKING:
    from torch import Tensor

TEMPERATURE = 0.05  # cosines are divided by it
# A negative nearer than the positive by this much is taken for one that nobody marked, and dropped
# (LG-ANNA drops by an adaptive margin).
MARGIN = 0.1


class DocumentVectors(Protocol):
    """Dense rows of documents, as an index holds them."""

    def positives(self, query_id: str) -> NDArray[np.float32]:
        """Return (n, dim) unit rows of relevant documents, at least one."""
        ...

    def negatives(self, query_id: str) -> NDArray[np.float32]:
        """Return (n, dim) unit rows of documents that rank high and are not relevant."""
        ...

    def text(self, query_id: str) -> str:
        """Return the query."""
        ...


@runtime_checkable
class Restricted(Protocol):
    """Document rows that can be looked at for some queries and their answers only."""

    def within(self, answers: Mapping[str, frozenset[str]]) -> DocumentVectors:
        """Return the rows for these."""
        ...


class GradientModel:
    """InfoNCE of queries over fixed documents, with gradients to what is put before them."""

    def __init__(self, encoder: LLMEncoder, documents: DocumentVectors) -> None:
        """Take the encoder of the default prompt and the documents.

        Raises:
            ValueError: the prompt is not read at its last token, at the top.
        """
        check_plain(encoder)
        self.encoder, self.documents = encoder, documents

    def within(self, answers: Mapping[str, frozenset[str]]) -> "GradientModel":
        """Look at these queries and answers only, where documents can be told so."""
        documents = self.documents
        if isinstance(documents, Restricted):
            documents = documents.within(answers)
        return GradientModel(self.encoder, documents)

    def under(self, prompt: Prompt) -> "GradientModel":
        """Read queries by other words.

        Raises:
            ValueError: the prompt is not read at its last token, at the top.
        """
        inner = self.encoder
        encoder = LLMEncoder(inner.backbone, replace(prompt, adapt="", post=None), inner.options)
        return GradientModel(encoder, self.documents)

    def rows(self, query_ids: Sequence[str]) -> list[TokenizedText]:
        """Return queries as they are fed."""
        texts = [self.documents.text(query) for query in query_ids]
        limit = self.encoder.options.max_text_tokens
        inputs = self.encoder.reader.feed(texts, Role.QUERY, limit)
        return [model_input.wordings[0] for model_input in inputs]

    def ids(self, query_ids: Sequence[str]) -> list[list[int]]:
        """Return the token ids of queries."""
        return [list(row.ids) for row in self.rows(query_ids)]

    def embedded_words(self, most: int) -> NDArray[np.float32]:
        """Return (n, dim) input embeddings of the last words around a query, at most so many."""
        import torch

        (row,) = self.encoder.reader.feed([""], Role.QUERY, self.encoder.options.max_text_tokens)
        tokenizer, table = self.encoder.backbone.tokenizer, self.encoder.backbone.model
        words = [at for at in row.wordings[0].ids if tokenizer.decode([at]).strip().isalpha()]
        with torch.no_grad():
            chosen = torch.tensor(
                words[-most:], dtype=torch.long, device=self.encoder.backbone.device
            )
            rows = table.get_input_embeddings()(chosen).float().cpu().numpy()
        return np.asarray(rows, dtype=np.float32)

    def tokens(self, query_ids: Sequence[str], extra: int) -> int:
        """Count what a forward and a backward pass are charged: each token twice."""
        return 2 * sum(len(row) + extra for row in self.ids(query_ids))

    def vectors(self, query_ids: Sequence[str], soft: "SoftTokens | Tensor | None") -> "Tensor":
        """Return (n, dim) unit query vectors, differentiable.

        Args:
            query_ids: of the queries.
            soft: fed beside them; bare vectors after a BOS token.
        """
        from torch import Tensor
        from torch.nn.functional import normalize

        tokens = SoftTokens(soft) if isinstance(soft, Tensor) else soft
        states = soft_states(self.encoder.backbone, self.ids(query_ids), tokens)
        return normalize(states.float(), dim=1)

    def loss(self, query_ids: Sequence[str], vectors: "Tensor") -> "Tensor":
        """Return the mean cross entropy of each query's first answer among all documents."""
        import torch
        from torch.nn.functional import cross_entropy

        pool, answers, own = self._pool(query_ids)
        scores = vectors @ torch.from_numpy(pool).to(vectors.device).T
        rows = torch.arange(len(query_ids), device=vectors.device)
        right = torch.from_numpy(answers).to(vectors.device)
        best = scores.detach()[rows, right][:, None]
        drop = (scores.detach() > best + MARGIN) | torch.from_numpy(own).to(vectors.device)
        drop[rows, right] = False
        return cross_entropy(scores.masked_fill(drop, -torch.inf) / TEMPERATURE, right)

    def _pool(
        self, query_ids: Sequence[str]
    ) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.bool_]]:
        """Return all documents of a batch, each query's answer, and its other answers."""
        parts, answers, owners = [], [], []
        at = 0
        for number, query in enumerate(query_ids):
            positives, negatives = self.documents.positives(query), self.documents.negatives(query)
            parts += [positives, negatives]
            answers.append(at)
            owners += [number] * len(positives) + [-1] * len(negatives)
            at += len(positives) + len(negatives)
        pool = np.concatenate(parts).astype(np.float32)
        owner = np.array(owners)
        own = owner[None, :] == np.arange(len(query_ids))[:, None]
        for number in range(len(query_ids)):  # another query's answer may be this one's as well
            own[number] |= (pool[:, None] == pool[own[number]][None]).all(axis=2).any(axis=1)
        return pool, np.array(answers), own


def batches(query_ids: Sequence[str], size: int, rng: np.random.Generator) -> list[list[str]]:
    """Shuffle queries into batches; a last one of a single query joins the one before it."""
    order = [query_ids[at] for at in rng.permutation(len(query_ids))]
    parts = [order[at : at + size] for at in range(0, len(order), size)]
    if len(parts) > 1 and len(parts[-1]) == 1:
        parts[-2:] = [parts[-2] + parts[-1]]
    return parts
