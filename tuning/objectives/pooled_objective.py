"""Score document prompts on documents that are encoded anew: a pool, or the whole collection.

A pool holds every relevant document, the best of each channel of the index for each query, and
some at random. It ranks prompts and is never reported: scores on it are far too high. What is
chosen is judged on the whole collection.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from embedder.encoders.adapted import AdaptedEncoder
from embedder.encoders.llm import LLMEncoder
from embedder.prompts.prompt import Prompt
from embedder.types import Representation, Role
from eval.measures.measures import evaluate
from retrieval.run import Run
from tuning.objectives.index_objective import IndexObjective, fed_tokens
from tuning.search.budget import Cost
from tuning.search.types import Failure, Scores

if TYPE_CHECKING:
    from collections.abc import Set

NEAREST, RANDOM = 10, 500
SHORT = 128  # tokens of a document that a search reads
DEPTH = 1000


@dataclass(frozen=True, slots=True)
class PooledDocuments:
    """Documents that prompts are judged on.

    Attributes:
        texts: document id -> text.
        whole: whether these are all that the index has; else scores rank and are not reported.
        tokens: of a document that are read.
    """

    texts: Mapping[str, str]
    whole: bool
    tokens: int


def pool_documents(objective: IndexObjective, prompt: Prompt, seed: int) -> PooledDocuments:
    """Choose documents by what the index finds under a prompt.

    Args:
        objective: on the index.
        prompt: the default; its queries are read once, for free: every search needs a pool.
        seed: of the random ones.
    """
    run = objective.run(prompt, list(objective.data.queries))
    words = objective.words_run() if "bm25" in objective.channels else {}
    ids: Set[str] = set().union(*objective.data.relevant.values())
    for found in (run, words):
        for scores in found.values():
            ids = ids | set(sorted(scores, key=lambda one: (-scores[one], one))[:NEAREST])
    texts, others = {}, []
    for document in objective.index.stream():
        if document.id in ids:
            texts[document.id] = document.content
        else:
            others.append(document.id)
    drawn = np.random.default_rng([seed, 81]).permutation(len(others))[:RANDOM]
    texts |= {others[at]: objective.index.document(others[at]).content for at in drawn.tolist()}
    return PooledDocuments(texts, not others, SHORT)


def all_documents(objective: IndexObjective, tokens: int) -> PooledDocuments:
    """Take every document of the index, read to its full length."""
    held = {document.id: document.content for document in objective.index.stream()}
    return PooledDocuments(held, True, tokens)


class PooledObjective:
    """Per-query scores of prompts of both sides; documents are encoded for each document prompt.

    The first scores under a document prompt are charged its documents.
    """

    def __init__(self, inner: IndexObjective, documents: PooledDocuments) -> None:
        """Take the objective on the index, for queries and judgements, and the documents."""
        self.inner, self.documents = inner, documents
        self._ids = list(documents.texts)
        self._held: tuple[str, Representation] | None = None
        self._charged: dict[str, int] = {}

    def __call__(self, prompts: Sequence[Prompt], query_ids: Sequence[str]) -> Scores:
        """Return (prompts, queries) scores."""
        return np.array([self._judge(prompt, query_ids) for prompt in prompts])

    def cost(self, prompt: Prompt, query_ids: Sequence[str]) -> Cost:
        """Count the tokens of queries in their prompt; documents are apart, see `preparation`."""
        texts = [self.inner.data.queries[one] for one in query_ids]
        return Cost(fed_tokens(self.inner.encoder(prompt), texts), evaluations=len(query_ids))

    def preparation(self, prompt: Prompt) -> tuple[str, Cost]:
        """Tell which documents a prompt needs encoded, and what that takes.

        Nothing where all documents are wanted and the index holds them under this prompt.
        """
        if self.documents.whole and self.inner.holds(prompt):
            return "", Cost()
        encoder = self._reader(prompt)
        side = str(encoder.reader.frames[Role.DOCUMENT][0].content) + str(prompt.reading)
        key = f"{side}{prompt.prepend}"
        if key not in self._charged:
            texts = list(self.documents.texts.values())
            self._charged[key] = fed_tokens(encoder, texts, Role.DOCUMENT)
        return key, Cost(tokens=self._charged[key])

    def failures(self, prompt: Prompt, query_ids: Sequence[str]) -> list[Failure]:
        """Return none: failures of a pool are not those of the collection."""
        return []

    def run(self, prompt: Prompt, query_ids: Sequence[str]) -> Run:
        """Search the documents for queries under a prompt."""
        if self.documents.whole and self.inner.holds(prompt):
            return self.inner.run(prompt, query_ids)
        rows = self._encoded(prompt)
        texts = [self.inner.data.queries[one] for one in query_ids]
        queries = self.inner.encoder(prompt).encode(texts, Role.QUERY)
        runs = []
        for name in self.inner.channels:
            if name == "bm25":
                runs.append(self._among(self.inner.words_run(), query_ids))
            else:
                runs.append(self._best(_scores(name, queries, rows), query_ids))
        return self.inner.fuse(prompt, runs)

    def _judge(self, prompt: Prompt, query_ids: Sequence[str]) -> NDArray[np.float64]:
        data = self.inner.data
        qrels = {query: data.qrels[query] for query in query_ids}
        values = evaluate(self.run(prompt, query_ids), qrels, [data.measure])[data.measure]
        return np.array([values[query] for query in query_ids])

    def _encoded(self, prompt: Prompt) -> Representation:
        key, _ = self.preparation(prompt)
        if self._held is None or self._held[0] != key:
            texts = list(self.documents.texts.values())
            self._held = key, self._reader(prompt).encode(texts, Role.DOCUMENT)
        return self._held[1]

    def _reader(self, prompt: Prompt) -> LLMEncoder:
        encoder = self.inner.encoder(prompt)
        inner = encoder.inner if isinstance(encoder, AdaptedEncoder) else encoder
        options = replace(inner.options, max_text_tokens=self.documents.tokens)
        return LLMEncoder(inner.backbone, inner.prompt, options)

    def _best(self, scores: NDArray[np.float32], query_ids: Sequence[str]) -> Run:
        """Keep the best of each query; of a text in several rows the best counts."""
        run: Run = {}
        k = min(DEPTH, scores.shape[1])
        for query, row in zip(query_ids, scores, strict=True):
            order = np.argpartition(-row, k - 1)[:k]
            run[query] = {self._ids[at]: float(row[at]) for at in order.tolist() if row[at] > 0}
        return run

    def _among(self, run: Run, query_ids: Sequence[str]) -> Run:
        held = self.documents.texts
        return {
            query: {one: score for one, score in run[query].items() if one in held}
            for query in query_ids
        }


def _scores(name: str, queries: Representation, rows: Representation) -> NDArray[np.float32]:
    """Return (queries, documents) inner products in a channel.

    Raises:
        ValueError: documents have several rows each.
    """
    if len(rows) != len(np.unique(rows.owner)):
        raise ValueError("document prompts are tuned for readings of one row a text")
    if name == "dense":
        assert queries.dense is not None and rows.dense is not None
        product: NDArray[np.float32] = queries.dense @ rows.dense.T
        return product
    assert queries.sparse is not None and rows.sparse is not None
    return np.asarray((queries.sparse @ rows.sparse.T).toarray(), dtype=np.float32)
