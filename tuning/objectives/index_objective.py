"""What tuning sees of retrieval: query prompts scored on an index as it stands.

Documents are not encoded again, so a candidate costs the tokens of the queries alone.
"""

from collections.abc import Callable, Mapping, Sequence, Set
from functools import cached_property, lru_cache
from itertools import islice

import numpy as np

from embedder.encoders.specs import post_rules_of
from embedder.files.content_hash import content_hash
from embedder.prompts.prompt import Prompt
from embedder.types import Encoder
from eval.fusion.sweep import Setting
from eval.runs.collection_index import manifest_digest
from eval.runs.environment import library_versions
from index.folder import Index
from retrieval.fusion_choice import AUTO, choose_fusion
from retrieval.pseudo_queries import needs_query_mean, with_pseudo_queries
from retrieval.retriever import Retriever
from retrieval.run import Run, ranked
from tuning.objectives.corpus_card import typical_documents
from tuning.objectives.judged_queries import JudgedQueries
from tuning.objectives.post_rows import PostRows
from tuning.objectives.prompt_encoder import (
    PromptEncoder,
    QueryLengths,
    fed_tokens,
    tuned_channels,
)
from tuning.objectives.swept_scores import SweptScores
from tuning.search.budget import Cost
from tuning.search.space import key_of
from tuning.search.types import Failure, Scores

SHOWN_FAILURES = 20
KEPT_ENCODERS = 8
CARD = 6  # documents
DEPTH = 1000
FEW = 64  # pseudo-queries of a wording that is searched among, rather than judged


class IndexObjective:
    """Per-query scores of query prompts on an index.

    Attributes:
        index: opened; nothing of it is changed.
        data: queries and judgements.
        channels: searched and fused, in this order.
        tuned: those of the channels that are read by the model whose prompt is tuned.
        dense: the one of them that holds dense rows; None where there is none.
        encoder: prompt -> encoder; the last ones are kept.
        depth: documents of each channel that are fused.
        settings: fusions that are tuned, by the text that prompts name them by.
    """

    def __init__(
        self,
        index: Index,
        encoders: Mapping[str, Encoder],
        data: JudgedQueries,
        make_encoder: Callable[[Prompt], PromptEncoder],
        depth: int = DEPTH,
        settings: Mapping[str, Setting] | None = None,
    ) -> None:
        """Take an index and the encoders of its channels.

        Args:
            index: opened.
            encoders: channel -> encoder; those of words (bm25) have no prompt.
            data: queries and judgements.
            make_encoder: makes the encoder of another prompt, of the model that reads the index;
                raises ValueError where the model cannot be read with it.
            depth: documents of each channel that are fused.
            settings: fusions that are tuned, by the text that prompts name them by.
        """
        self.index, self.data, self.channels = index, data, tuple(encoders)
        self.tuned = tuple(tuned_channels(encoders))
        self.encoder = lru_cache(KEPT_ENCODERS)(make_encoder)
        self.depth = depth
        self.settings = dict(settings or {})
        self._encoders = dict(encoders)
        self._query_key = lru_cache(maxsize=None)(data.key_of)
        self._prompt_key = lru_cache(maxsize=None)(self._key_of)  # encoders are not kept for it
        self._check = lru_cache(maxsize=None)(self._refuse_unsearchable)
        self._prepare = lru_cache(maxsize=None)(self._preparation)
        self._lengths = QueryLengths(data.queries, self.encoder)
        self._swept = SweptScores(self.settings, data, self.fuse)
        dense = [name for name in self.tuned if index.channels[name].kind == "dense"]
        self.dense = dense[0] if dense else None
        own = post_rules_of(encoders[dense[0]]) if dense else None
        self._post = PostRows(index, self.dense, own, self.encoder)

    @property
    def quick(self) -> "IndexObjective | None":
        """What scores nearly alike, and reads FEW pseudo-queries for a wording; None of no more.

        A wording that is dropped after its first block takes a third of the readings.
        """
        if all(len(self.index.channels[name].pseudo_queries) <= FEW for name in self.tuned):
            return None
        index = with_pseudo_queries(self.index, FEW)
        return IndexObjective(
            index, self._encoders, self.data, self.encoder, self.depth, self.settings
        )

    def __call__(self, prompts: Sequence[Prompt], query_ids: Sequence[str]) -> Scores:
        """Return (prompts, queries) scores."""
        return np.array([self._scores(prompt, query_ids) for prompt in prompts])

    def _scores(self, prompt: Prompt, query_ids: Sequence[str]) -> Scores:
        def search(ids: Sequence[str]) -> Mapping[str, Run]:  # only where scores are not known
            return self.channel_runs(self.retriever(prompt, self.index), ids)

        return self._swept.scores(prompt, query_ids, search)

    def reading_key(self, prompt: Prompt) -> str:
        """Return what a query is read by: prompts that differ in fusion alone read it alike."""
        return prompt.hash if prompt in self._swept else key_of(prompt)

    def score_key(self, prompt: Prompt, query_id: str) -> str:
        """Return what stands for a score: prompt and model, index, channels, query, judgements."""
        return self._prompt_key(prompt) + self._query_key(query_id)

    def _key_of(self, prompt: Prompt) -> str:
        return content_hash([key_of(prompt), self.encoder(prompt).fingerprint, self._facts])

    @cached_property
    def _facts(self) -> str:
        """A digest of what scores hang on beside prompts and queries."""
        fingerprints = {
            name: [encoder.fingerprint, spec.fingerprint, [*spec.pseudo_queries]]
            for name, encoder in self._encoders.items()
            for spec in [self.index.channels[name]]
        }
        holds = manifest_digest(self.index.manifest)
        facts = [self.channels, self.tuned, self.depth, holds, self.index.generation]
        return content_hash([fingerprints, facts, library_versions()])

    def cost(self, prompt: Prompt, query_ids: Sequence[str]) -> Cost:
        """Count the tokens of queries in their prompt.

        Raises:
            ValueError: the documents of the index belong to another prompt.
        """
        self._check(prompt)
        return self.query_cost(prompt, query_ids)

    def _refuse_unsearchable(self, prompt: Prompt) -> None:
        """Refuse a prompt that the index cannot be searched by, without reading anything."""
        self.retriever(self._post.unchanged(prompt), self.index)

    def preparation(self, prompt: Prompt) -> tuple[str, Cost]:
        """Return whose mean a prompt needs of pseudo-queries, and what reading those takes.

        Nothing where queries are worded as those that the index was post-processed with.

        Raises:
            ValueError: rows of the index cannot be post-processed as the prompt says.
        """
        return self._prepare(prompt)

    def _preparation(self, prompt: Prompt) -> tuple[str, Cost]:
        encoder = self.encoder(prompt)
        if self._post.changes(prompt):
            key, reader, texts = self._post.preparation(prompt)
            return key, Cost(tokens=fed_tokens(reader, texts))
        for spec in (self.index.channels[name] for name in self.tuned):
            if needs_query_mean(spec, encoder) and spec.pseudo_queries:
                return encoder.fingerprint, Cost(tokens=fed_tokens(encoder, spec.pseudo_queries))
        return "", Cost()

    def query_cost(self, prompt: Prompt, query_ids: Sequence[str]) -> Cost:
        """Count the tokens of queries in their prompt, whatever documents they are for."""
        return Cost(tokens=self._lengths.total(prompt, query_ids), evaluations=len(query_ids))

    def failures(self, prompt: Prompt, query_ids: Sequence[str]) -> list[Failure]:
        """Return what an unsuitable document was ranked first for, the worst first.

        The queries are searched again; whoever asks has paid for that, see `Scorer.failures`.
        """
        run = self.run(prompt, query_ids)
        values = dict(zip(query_ids, self.data.judge(run, query_ids).tolist(), strict=True))
        order = sorted(query_ids, key=lambda query: (values[query], query))
        failures = (self._failure(query, run) for query in order if values[query] < 1)
        return list(
            islice((failure for failure in failures if failure is not None), SHOWN_FAILURES)
        )

    def search_texts(self, query_ids: Sequence[str]) -> list[str]:
        """Return the texts of queries, and of what the index has of their answers."""
        answers = sorted(set().union(*(self.data.relevant_of(query) for query in query_ids)))
        contents = [self.index.document(each).content for each in answers if self._has(each)]
        return [*(self.data.queries[query] for query in query_ids), *contents]

    def card(self, seed: int) -> list[str]:
        """Return some documents that show what the collection is about."""
        return typical_documents(self.index, CARD, seed)

    def run(self, prompt: Prompt, query_ids: Sequence[str]) -> Run:
        """Search for queries under a prompt.

        Raises:
            ValueError: the documents of the index belong to another prompt.
        """
        return self.search(self.retriever(prompt, self.index), prompt, query_ids)

    def retriever(self, prompt: Prompt, index: Index) -> Retriever:
        """Return what searches the tuned channels of an index for queries under a prompt.

        Args:
            prompt: of the queries.
            index: the objective's, or one of the same documents under another prompt.

        Raises:
            ValueError: the documents of the index belong to another prompt.
        """
        encoders = dict.fromkeys(self.tuned, self.encoder(prompt))
        if index is self.index and self._post.changes(prompt):
            index = self._post.index(prompt)
        return Retriever(index, encoders, depth=self.depth, any_query_prompt=True)

    def search(
        self,
        retriever: Retriever,
        prompt: Prompt,
        query_ids: Sequence[str],
        among: Set[str] | None = None,
    ) -> Run:
        """Search all channels, and fuse them as the prompt says.

        Args:
            retriever: of the tuned channels.
            prompt: names the fusion.
            query_ids: of the queries.
            among: documents that the other channels may return; None is all.
        """
        return self.fuse(prompt, self.channel_runs(retriever, query_ids, among))

    def fuse(self, prompt: Prompt, runs: Mapping[str, Run]) -> Run:
        """Fuse the runs of all channels, in their order, as a prompt says."""
        fusion = choose_fusion(AUTO, self.channels, (prompt.fusion,))
        whole = Retriever(self.index, self._encoders, fusion, self.depth, any_query_prompt=True)
        return whole.fuse(list(runs.values()))

    def channel_runs(
        self, retriever: Retriever, query_ids: Sequence[str], among: Set[str] | None = None
    ) -> dict[str, Run]:
        """Search each channel, in their order: arguments as of `search`."""
        queries = {query: self.data.queries[query] for query in query_ids}
        runs = retriever.channel_runs(queries, self.depth)
        for name, run in self.fixed_runs.items():
            runs[name] = {
                query: {
                    document: score
                    for document, score in run[query].items()
                    if among is None or document in among
                }
                for query in query_ids
            }
        return {name: runs[name] for name in self.channels}

    @cached_property
    def fixed_runs(self) -> Mapping[str, Run]:
        """Channel -> what it returns for all queries, of the channels without a prompt."""
        fixed = {name: each for name, each in self._encoders.items() if name not in self.tuned}
        if not fixed:
            return {}
        retriever = Retriever(self.index, fixed, depth=self.depth)
        return retriever.channel_runs(self.data.queries, self.depth)

    def holds(self, prompt: Prompt) -> bool:
        """Tell whether the index holds the documents as a prompt would read them."""
        try:
            self._check(prompt)
        except ValueError:
            return False
        return not self._post.changes(prompt)

    def _failure(self, query: str, run: Run) -> Failure | None:
        judged = self.data.qrels[query]
        order = [document for document, _ in ranked(run[query])]
        right = next(
            (document for document in judged if judged[document] > 0 and self._has(document)), None
        )
        wrong = next((document for document in order if judged.get(document, 0) <= 0), None)
        if right is None or wrong is None:
            return None
        rank = order.index(right) + 1 if right in order else None
        answer, mistake = (self.index.document(document).content for document in (right, wrong))
        return Failure(self.data.queries[query], answer, mistake, rank)

    def _has(self, document_id: str) -> bool:
        try:
            self.index.document(document_id)
        except ValueError:
            return False
        return True
