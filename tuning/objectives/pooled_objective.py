"""Score document prompts on documents that are encoded anew: a pool, or the whole collection.

A pool holds every relevant document, the best of each channel of the index for each query, and
some at random. It ranks prompts and is never reported: scores on it are far too high. Finalists
are ranked on a larger one, with what they would find themselves, and the one that is chosen is
judged on the whole collection.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np

from embedder.encoders.adapted import AdaptedEncoder
from embedder.encoders.llm import LLMEncoder
from embedder.encoders.shared_prefix import GroupTokens, group_prompts, role_fingerprint
from embedder.files.content_hash import content_hash
from embedder.prompts.prompt import Prompt
from embedder.types import Role
from retrieval.retriever import Retriever
from retrieval.run import Run, ranked
from tuning.objectives.document_indexes import DocumentIndexes, PooledDocuments
from tuning.objectives.index_objective import IndexObjective
from tuning.objectives.pool_refresh import map_between, nearest_documents
from tuning.objectives.swept_scores import SweptScores
from tuning.search.budget import Cost
from tuning.search.types import Failure, Scores

NEAREST, RANDOM = 10, 500
SHORT = 128  # tokens of a document that a search reads


def pool_documents(objective: IndexObjective, prompt: Prompt, seed: int) -> PooledDocuments:
    """Choose documents by what the index returns under a prompt.

    Args:
        objective: on the index.
        prompt: the default; its queries are read once, which is charged to the search.
        seed: of the random ones.
    """
    ids, queries = set().union(*objective.data.relevant.values()), list(objective.data.queries)
    retriever = objective.retriever(prompt, objective.index)
    for run in objective.channel_runs(retriever, queries).values():
        for scores in run.values():
            ids |= {document for document, _ in ranked(scores)[:NEAREST]}
    every = objective.index.ids()
    others = [document for document in every if document not in ids]
    drawn = np.random.default_rng([seed, 81]).permutation(len(others))[:RANDOM]
    pool = ids.intersection(every) | {others[at] for at in drawn.tolist()}
    filling = replace(objective.query_cost(prompt, queries), evaluations=0)
    return PooledDocuments(frozenset(pool), not others, SHORT, filling)


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

    def __init__(
        self, inner: IndexObjective, documents: PooledDocuments, full: int | None = None
    ) -> None:
        """Take the objective on the index, for queries and judgements, and the documents.

        Args:
            inner: on the index.
            documents: that prompts are judged on.
            full: tokens of a document that are read for finalists; None is as many as before.
        """
        self.inner, self.documents, self._full = inner, documents, full or documents.tokens
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

    def score_key(self, prompt: Prompt, query_id: str) -> str:
        """Return what stands for a score, the documents that are searched among it."""
        facts = [self.inner.score_key(prompt, query_id), self._pool_key]
        return content_hash(facts) + self.inner.data.key_of(query_id)

    @cached_property
    def _pool_key(self) -> str:
        documents = self.documents
        return content_hash([sorted(documents.ids), documents.whole, documents.tokens])

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

    def filling(self) -> Cost:
        """Tell what choosing the documents took: reading all queries once."""
        return self.documents.filling

    def full_cost(self, prompt: Prompt) -> Cost:
        """Count the tokens of these documents to their full length; none if these are all."""
        cost = self.enlarged(()).documents_cost(prompt)
        enough = self.documents.whole and cost == self.documents_cost(prompt)
        return Cost() if enough else cost

    def enlarged(self, document_ids: Sequence[str]) -> "PooledObjective":
        """Return the objective on these documents and more, all read to their full length."""
        ids = self.documents.ids.union(document_ids)
        whole = self.documents.whole or len(ids) == self.inner.index.documents
        return PooledObjective(self.inner, PooledDocuments(ids, whole, self._full))

    def refreshing(self, prompts: Sequence[Prompt], query_ids: Sequence[str]) -> Cost:
        """Count the tokens of queries, which `missed` reads once more."""
        asked = (self.inner.query_cost(prompt, query_ids) for prompt in prompts)
        return replace(sum(asked, Cost()), evaluations=0)

    def missed(self, prompts: Sequence[Prompt], query_ids: Sequence[str]) -> list[str]:
        """Return the documents that are not among these and that queries would find, about.

        No document is read: their rows are told from those that the index holds. None where the
        index has no dense rows.
        """
        channel, index = self.inner.dense, self.inner.index
        if channel is None or self.documents.whole:
            return []
        texts = [self.inner.data.queries[query] for query in query_ids]
        maps = []
        for prompt in prompts:
            other = self._retriever(prompt).index
            rows = self.inner.encoder(prompt).encode(texts, Role.QUERY)
            fit, told = other.channels[channel].post, map_between(index, other, channel)
            asked = fit.change_rows(rows, Role.QUERY).dense if fit else rows.dense
            if told is not None and asked is not None:
                maps.append((told, asked))
        return sorted(nearest_documents(index, channel, maps) - self.documents.ids)

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
