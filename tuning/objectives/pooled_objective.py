"""Score document prompts on documents that are encoded anew: a pool, or the whole collection.

A pool holds every relevant document, the best of each channel of the index for each query, and
some at random. It ranks prompts and is never reported: scores on it are far too high. The prompt
that is chosen is judged on the whole collection.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from embedder.encoders.adapted import AdaptedEncoder
from embedder.encoders.llm import LLMEncoder
from embedder.encoders.shared_prefix import GroupTokens, group_prompts, role_fingerprint
from embedder.prompts.prompt import Prompt
from embedder.types import Role
from retrieval.retriever import Retriever
from retrieval.run import Run, ranked
from tuning.objectives.document_indexes import DocumentIndexes, PooledDocuments
from tuning.objectives.index_objective import IndexObjective
from tuning.objectives.swept_scores import SweptScores
from tuning.search.budget import Cost
from tuning.search.types import Failure, Scores

NEAREST, RANDOM = 10, 500
SHORT = 128  # tokens of a document that a search reads


def pool_documents(objective: IndexObjective, prompt: Prompt, seed: int) -> PooledDocuments:
    """Choose documents by what the index returns under a prompt.

    Args:
        objective: on the index.
        prompt: the default; its queries are read once, for free: every search needs a pool.
        seed: of the random ones.
    """
    ids = set().union(*objective.data.relevant.values())
    for run in (
        objective.run(prompt, list(objective.data.queries)),
        *objective.fixed_runs.values(),
    ):
        for scores in run.values():
            ids |= {document for document, _ in ranked(scores)[:NEAREST]}
    every = objective.index.ids()
    others = [document for document in every if document not in ids]
    drawn = np.random.default_rng([seed, 81]).permutation(len(others))[:RANDOM]
    pool = ids.intersection(every) | {others[at] for at in drawn.tolist()}
    return PooledDocuments(frozenset(pool), not others, SHORT)


def all_documents(objective: IndexObjective, tokens: int) -> PooledDocuments:
    """Take every document of the index, read to its full length."""
    ids = frozenset(objective.index.ids())
    return PooledDocuments(ids, True, tokens)


class PooledObjective:
    """Per-query scores of prompts of both sides; documents are encoded for each document prompt.

    The first scores under a document prompt are charged its documents, which are indexed in a
    temporary folder, cut into passages as those of the index are.
    """

    tells_failures = False

    def __init__(self, inner: IndexObjective, documents: PooledDocuments) -> None:
        """Take the objective on the index, for queries and judgements, and the documents."""
        self.inner, self.documents = inner, documents
        self._indexes = DocumentIndexes(inner, documents)
        self._tallies: dict[str, GroupTokens] = {}
        self._swept = SweptScores(inner.settings, inner.data, inner.fuse)

    def __call__(self, prompts: Sequence[Prompt], query_ids: Sequence[str]) -> Scores:
        """Return (prompts, queries) scores."""
        return np.array([self._scores(prompt, query_ids) for prompt in prompts])

    def _scores(self, prompt: Prompt, query_ids: Sequence[str]) -> Scores:
        def search(ids: Sequence[str]) -> Mapping[str, Run]:
            return self.inner.channel_runs(self._retriever(prompt), ids, self._among(prompt))

        return self._swept.scores(prompt, query_ids, search)

    def reading_key(self, prompt: Prompt) -> str:
        """Return what a query is read by, as the objective on the index does."""
        return self.inner.reading_key(prompt)

    def cost(self, prompt: Prompt, query_ids: Sequence[str]) -> Cost:
        """Count the tokens of queries in their prompt; documents are apart, see `preparation`."""
        return self.inner.query_cost(prompt, query_ids)

    def preparation(self, prompt: Prompt) -> tuple[str, Cost]:
        """Return which documents a prompt needs encoded, and what that takes.

        Of documents none where all are needed and the index holds them under this prompt.
        """
        if self._are_held(prompt):
            return self.inner.preparation(prompt)
        key, tally = self._tally(prompt)
        return key, Cost(tokens=tally.tokens)

    def documents_cost(self, prompt: Prompt) -> Cost:
        """Return what reading the documents under a prompt takes, held by the index or not."""
        return Cost(tokens=self._tally(prompt)[1].tokens)

    def joint_preparation(self, prompts: Sequence[Prompt]) -> tuple[list[str], Cost]:
        """Return the documents that prompts need encoded, and what reading them together takes.

        Wordings that differ after the text only share the reading of the text.
        """
        encoders: dict[str, LLMEncoder] = {}
        for prompt in prompts:
            if not self._are_held(prompt):
                encoders.setdefault(self._tally(prompt)[0], self._documents_encoder(prompt))
        tokens = 0
        for group in group_prompts(list(encoders.values()), Role.DOCUMENT):
            tally = self._tallies[role_fingerprint(group[0], Role.DOCUMENT)]
            for encoder in group[1:]:
                tally = tally.joined(encoder, self._indexes.passages)
            tokens += tally.tokens
        return list(encoders), Cost(tokens=tokens)

    def read_together(self, prompts: Sequence[Prompt]) -> None:
        """Read the documents of prompts together once one of them is searched."""
        encoders = [self._documents_encoder(prompt) for prompt in prompts]
        self._indexes.read_together(encoders)

    def _tally(self, prompt: Prompt) -> tuple[str, GroupTokens]:
        encoder = self._documents_encoder(prompt)
        key = role_fingerprint(encoder, Role.DOCUMENT)
        if key not in self._tallies:
            passages = self._indexes.passages
            self._tallies[key] = GroupTokens.of(encoder, passages, Role.DOCUMENT)
        return key, self._tallies[key]

    def failures(self, prompt: Prompt, query_ids: Sequence[str]) -> list[Failure]:
        """Return none: failures of a pool are not those of the collection."""
        return []

    def run(self, prompt: Prompt, query_ids: Sequence[str]) -> Run:
        """Search the documents for queries under a prompt."""
        return self.inner.search(self._retriever(prompt), prompt, query_ids, self._among(prompt))

    def _retriever(self, prompt: Prompt) -> Retriever:
        if self._are_held(prompt):
            return self.inner.retriever(prompt, self.inner.index)
        encoder = self.inner.encoder(prompt)
        index = self._indexes.index(encoder, self._documents_encoder(prompt))
        return self.inner.retriever(prompt, index)

    def _among(self, prompt: Prompt) -> frozenset[str] | None:
        """Return the documents that other channels may return; None is all."""
        return None if self._are_held(prompt) else self.documents.ids

    def _are_held(self, prompt: Prompt) -> bool:
        return self.documents.whole and self.inner.holds(prompt)

    def _documents_encoder(self, prompt: Prompt) -> LLMEncoder:
        encoder = self.inner.encoder(prompt)
        assert isinstance(encoder, LLMEncoder | AdaptedEncoder), encoder  # see `space_of`
        plain = encoder.inner if isinstance(encoder, AdaptedEncoder) else encoder
        options = replace(plain.options, max_text_tokens=self.documents.tokens)
        return LLMEncoder(plain.backbone, plain.prompt, options)
