"""What tuning sees of retrieval: query prompts scored on an index as it stands.

Documents are not encoded again, so a candidate costs the tokens of the queries alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from itertools import islice
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from embedder.encoders.adapted import AdaptedEncoder
from embedder.encoders.llm import LLMEncoder
from embedder.prompts.prompt import Prompt
from embedder.types import Encoder, Representation, Role
from eval.data.qrels import Qrels
from eval.measures.measures import evaluate
from index.folder import Index
from retrieval.fusion import fusion_by_name
from retrieval.fusion_choice import AUTO, choose_fusion
from retrieval.run import Run, cut, ranked, to_run
from tuning.search.budget import Cost
from tuning.search.types import Failure, Scores

SHOWN_FAILURES = 20
KEPT_ENCODERS = 8


@dataclass(frozen=True, slots=True)
class JudgedQueries:
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
    def of(queries: Mapping[str, str], qrels: Qrels, measure: str = "nDCG@10") -> "JudgedQueries":
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
        return JudgedQueries(held, {query: qrels[query] for query in held}, measure)

    def found_in(self, index: Index) -> "JudgedQueries":
        """Keep the queries that have a relevant document in an index; the others score 0 always.

        Raises:
            ValueError: there is none.
        """
        known = {document.id for document in index.stream()}
        kept = {query for query in self.queries if self.relevant_of(query) & known}
        if not kept:
            raise ValueError(f"{index.path} has none of the documents that are judged relevant")
        queries = {query: text for query, text in self.queries.items() if query in kept}
        return JudgedQueries(queries, {query: self.qrels[query] for query in queries}, self.measure)

    @property
    def relevant(self) -> dict[str, frozenset[str]]:
        """Query id -> its relevant documents."""
        return {query: self.relevant_of(query) for query in self.qrels}

    def relevant_of(self, query_id: str) -> frozenset[str]:
        """Return the relevant documents of a query."""
        held = self.qrels[query_id].items()
        return frozenset(document for document, gain in held if gain > 0)


class EncoderFactory(Protocol):
    """Makes the encoder of a prompt, for the model that an index was made with."""

    def __call__(self, prompt: Prompt) -> LLMEncoder | AdaptedEncoder:
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
        data: JudgedQueries,
        remade: EncoderFactory,
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
        """Return what an unsuitable document was ranked first for, the worst first.

        The queries are searched again, so that a run that is taken up is told the same.
        """
        run = self.run(prompt, query_ids)
        values = self._values(run, query_ids)
        order = sorted(query_ids, key=lambda query: (values[query], query))
        found = (self._failure(query, run) for query in order if values[query] < 1)
        return list(islice((one for one in found if one is not None), SHOWN_FAILURES))

    def run(self, prompt: Prompt, query_ids: Sequence[str]) -> Run:
        """Search for queries under a prompt."""
        encoder = self.encoder(prompt)
        self._check(encoder)
        texts = self._texts(query_ids)
        rows = encoder.encode(texts, Role.QUERY) if self._reads else None
        runs = [self._channel(name, query_ids, rows) for name in self.channels]
        return self.fuse(prompt, runs)

    def fuse(self, prompt: Prompt, runs: Sequence[Run]) -> Run:
        """Fuse the runs of the channels as a search with this prompt would."""
        if len(runs) == 1:
            return runs[0]
        fusion = choose_fusion(AUTO, self.channels, (prompt.fusion,))
        return fusion_by_name(fusion, self.channels)(runs)

    def _judge(self, prompt: Prompt, query_ids: Sequence[str]) -> NDArray[np.float64]:
        values = self._values(self.run(prompt, query_ids), query_ids)
        return np.array([values[query] for query in query_ids])

    def _values(self, run: Run, query_ids: Sequence[str]) -> Mapping[str, float]:
        qrels = {query: self.data.qrels[query] for query in query_ids}
        return evaluate(run, qrels, [self.data.measure])[self.data.measure]

    def _channel(self, name: str, query_ids: Sequence[str], rows: Representation | None) -> Run:
        if name == "bm25":
            return {query: self._words[query] for query in query_ids}
        assert rows is not None
        hits = self.index.search(name, rows, self._depth)
        return cut(to_run(hits, query_ids, self._ids[name]), self._depth)

    @property
    def _reads(self) -> bool:
        return any(name != "bm25" for name in self.channels)

    def words_run(self) -> Run:
        """Return what BM25 answers; it has no prompt."""
        return self._words

    @cached_property
    def _words(self) -> Run:
        ids = list(self.data.queries)
        rows = self._encoders["bm25"].encode(self._texts(ids), Role.QUERY)
        hits = self.index.search("bm25", rows, self._depth)
        return cut(to_run(hits, ids, self._ids["bm25"]), self._depth)

    def holds(self, prompt: Prompt) -> bool:
        """Tell whether the index holds the documents as a prompt would read them."""
        try:
            self._check(self.encoder(prompt))
        except ValueError:
            return False
        return True

    def _check(self, encoder: LLMEncoder | AdaptedEncoder) -> None:
        """Refuse a prompt under which documents would be other vectors than the index holds."""
        for name in self.channels:
            if name != "bm25":
                spec = self.index.channels[name]
                free = replace(spec, query_prompt_free=True)
                free.check_encoder(encoder.fingerprint, querying=True)

    def _texts(self, query_ids: Sequence[str]) -> list[str]:
        return [self.data.queries[query] for query in query_ids]

    def _failure(self, query: str, run: Run) -> Failure | None:
        judged = self.data.qrels[query]
        order = [document for document, _ in ranked(run[query])]
        wanted = next((one for one in judged if judged[one] > 0 and self._known(one)), None)
        wrong = next((one for one in order if judged.get(one, 0) <= 0), None)
        if wanted is None or wrong is None:
            return None
        rank = order.index(wanted) + 1 if wanted in order else None
        answer, found = (self.index.document(one).content for one in (wanted, wrong))
        return Failure(self.data.queries[query], answer, found, rank)

    def _known(self, document_id: str) -> bool:
        try:
            self.index.document(document_id)
        except ValueError:
            return False
        return True


def fed_tokens(
    encoder: LLMEncoder | AdaptedEncoder, texts: Sequence[str], role: Role = Role.QUERY
) -> int:
    """Count the tokens that texts are fed as, soft ones among them."""
    fed = encoder.reader.feed(texts, role, encoder.options.max_text_tokens)
    soft = encoder.soft_tokens if isinstance(encoder, AdaptedEncoder) and role is Role.QUERY else 0
    return sum(text.tokens + soft for text in fed)
