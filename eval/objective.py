"""What tuning sees of retrieval: query prompts scored on an index as it stands.

Documents are not encoded again, so a candidate costs the tokens of the queries alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from embedder.llm import LLMEncoder
from embedder.prompt import Prompt
from embedder.tuning.budget import Cost
from embedder.tuning.space import key_of
from embedder.tuning.types import Failure, Scores
from embedder.types import Encoder, Representation, Role
from eval.measures import Qrels, evaluate
from index.folder import Index
from retrieval.fusion import fusion_by_name
from retrieval.run import Run, ranked, to_run

SHOWN_FAILURES = 8
KEPT_ENCODERS = 8


@dataclass(frozen=True, slots=True)
class Judged:
    """Queries with their judgements.

    Attributes:
        queries: query id -> text; all of them are judged, with something relevant.
        qrels: judgements of these queries.
        measure: by which they are judged, e.g. nDCG@10; in 0..1.
    """

    queries: Mapping[str, str]
    qrels: Qrels
    measure: str = "nDCG@10"

    @staticmethod
    def of(queries: Mapping[str, str], qrels: Qrels, measure: str = "nDCG@10") -> "Judged":
        """Take the queries that are judged and have something relevant.

        Raises:
            ValueError: there is none, or a judged query has no text.
        """
        wanted = {query for query, held in qrels.items() if max(held.values(), default=0) > 0}
        missing = sorted(wanted - queries.keys())
        if missing:
            raise ValueError(
                f"{len(missing)} judged queries have no text, e.g. {missing[0]!r}; "
                "give the queries that the judgements are of"
            )
        if not wanted:
            raise ValueError("no query is judged to have a relevant document")
        held = {query: text for query, text in queries.items() if query in wanted}
        return Judged(held, {query: qrels[query] for query in held}, measure)

    @property
    def relevant(self) -> dict[str, frozenset[str]]:
        """Query id -> its relevant documents."""
        return {
            query: frozenset(document for document, gain in held.items() if gain > 0)
            for query, held in self.qrels.items()
        }


class Remade(Protocol):
    """Makes the encoder of a prompt, for the model that an index was made with."""

    def __call__(self, prompt: Prompt) -> LLMEncoder:
        """Return the encoder.

        Raises:
            ValueError: the model cannot be read so.
        """
        ...


class IndexObjective:
    """Per-query scores of query prompts on an index.

    Attributes:
        index: opened; nothing of it is changed.
        data: queries and judgements.
        channels: searched and fused, in this order.
    """

    def __init__(
        self,
        index: Index,
        encoders: Mapping[str, Encoder],
        data: Judged,
        remade: Remade,
        depth: int = 1000,
    ) -> None:
        """Take an index and the encoders of its channels.

        Args:
            index: opened.
            encoders: channel -> encoder; those of words (bm25) have no prompt.
            data: queries and judgements.
            remade: gives the encoder of another prompt, of the model that made dense and sparse.
            depth: documents of each channel that are fused.
        """
        self.index, self.data, self.channels = index, data, tuple(encoders)
        self._encoders = dict(encoders)
        self.encoder = lru_cache(KEPT_ENCODERS)(remade)
        self._depth = depth
        self._ids = {name: index.row_ids(name) for name in self.channels}
        self._failures: dict[tuple[str, str], Failure] = {}

    def __call__(self, prompts: Sequence[Prompt], query_ids: Sequence[str]) -> Scores:
        """Return (prompts, queries) scores."""
        return np.array([self._judge(prompt, query_ids) for prompt in prompts])

    def cost(self, prompt: Prompt, query_ids: Sequence[str]) -> Cost:
        """Count the tokens of queries in their prompt.

        Raises:
            ValueError: the documents of the index belong to another prompt.
        """
        encoder = self.encoder(prompt)
        self._check(encoder)
        return Cost(tokens=fed_tokens(encoder, self._texts(query_ids)), evaluations=len(query_ids))

    def failures(self, prompt: Prompt, query_ids: Sequence[str]) -> list[Failure]:
        """Return what an unsuitable document was ranked first for, in the order given."""
        key = key_of(prompt)
        held = [self._failures.get((key, query)) for query in query_ids]
        return [one for one in held if one is not None]

    def run(self, prompt: Prompt, query_ids: Sequence[str]) -> Run:
        """Search for queries under a prompt."""
        encoder = self.encoder(prompt)
        self._check(encoder)
        texts = self._texts(query_ids)
        rows = encoder.encode(texts, Role.QUERY) if self._reads else None
        runs = [self._channel(name, query_ids, rows) for name in self.channels]
        return runs[0] if len(runs) == 1 else fusion_by_name(prompt.fusion, self.channels)(runs)

    def _judge(self, prompt: Prompt, query_ids: Sequence[str]) -> NDArray[np.float64]:
        run = self.run(prompt, query_ids)
        qrels = {query: self.data.qrels[query] for query in query_ids}
        values = evaluate(run, qrels, [self.data.measure])[self.data.measure]
        self._note(prompt, run, values)
        return np.array([values[query] for query in query_ids])

    def _channel(self, name: str, query_ids: Sequence[str], rows: Representation | None) -> Run:
        if name == "bm25":
            return {query: self._words[query] for query in query_ids}
        assert rows is not None
        hits = self.index.search(name, rows, self._depth)
        return to_run(hits, query_ids, self._ids[name])

    @property
    def _reads(self) -> bool:
        return any(name != "bm25" for name in self.channels)

    @cached_property
    def _words(self) -> Run:
        """What BM25 answers; it has no prompt."""
        ids = list(self.data.queries)
        rows = self._encoders["bm25"].encode(self._texts(ids), Role.QUERY)
        return to_run(self.index.search("bm25", rows, self._depth), ids, self._ids["bm25"])

    def _check(self, encoder: LLMEncoder) -> None:
        """Refuse a prompt under which documents would be other vectors than the index holds."""
        for name in self.channels:
            if name != "bm25":
                spec = self.index.channels[name]
                free = replace(spec, query_prompt_free=True)
                free.check_encoder(encoder.fingerprint, querying=True)

    def _texts(self, query_ids: Sequence[str]) -> list[str]:
        return [self.data.queries[query] for query in query_ids]

    def _note(self, prompt: Prompt, run: Run, values: Mapping[str, float]) -> None:
        """Keep the worst failures of a prompt, for proposers that learn from them."""
        worst = sorted(values, key=lambda query: (values[query], query))[:SHOWN_FAILURES]
        for query in worst:
            judged = self.data.qrels[query]
            order = [document for document, _ in ranked(run[query])]
            wanted = next((one for one in judged if judged[one] > 0 and self._known(one)), None)
            wrong = next((one for one in order if judged.get(one, 0) <= 0), None)
            if values[query] < 1 and wanted is not None and wrong is not None:
                rank = order.index(wanted) + 1 if wanted in order else None
                self._failures[key_of(prompt), query] = Failure(
                    self.data.queries[query],
                    self.index.document(wanted).content,
                    self.index.document(wrong).content,
                    rank,
                )

    def _known(self, document_id: str) -> bool:
        try:
            self.index.document(document_id)
        except ValueError:
            return False
        return True


def fed_tokens(encoder: LLMEncoder, texts: Sequence[str], role: Role = Role.QUERY) -> int:
    """Count the tokens that texts are fed as."""
    fed = encoder.reader.feed(texts, role, encoder.options.max_text_tokens)
    return sum(text.tokens for text in fed)
