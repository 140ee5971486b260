"""Dense rows as an index compares them, for what learns from them: of SEARCH alone."""

from collections.abc import Mapping, Sequence, Set
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from embedder.encoders.adapted import AdaptedEncoder
from embedder.prompts.prompt import Prompt
from embedder.prompts.query_adapter import QueryAdapter
from embedder.types import Float32Array, Representation, Role, before_map
from index.folder import Index
from retrieval.pseudo_queries import read_query_fit
from tuning.objectives.index_objective import IndexObjective
from tuning.objectives.judged_queries import JudgedQueries
from tuning.objectives.prompt_encoder import fed_tokens
from tuning.proposers.answer_pool import AnswerPool

DENSE = "dense"
NEAREST = 12
SAMPLE = 2000  # documents drawn from the index, beside those that are answers or near them


class IndexRows:
    """Rows as an index holds them; negatives are the neighbours of a query's first answer.

    No query is read for them, so they cost no tokens.
    """

    def __init__(
        self,
        index: Index,
        data: JudgedQueries,
        channel: str = DENSE,
        answers: Mapping[str, Set[str]] | None = None,
    ) -> None:
        """Take an index with a dense channel and judged queries.

        Args:
            index: opened.
            data: queries and judgements.
            channel: a dense one.
            answers: query id -> relevant documents that may be learned from; None refuses all.

        Raises:
            ValueError: there is no such channel.
        """
        if channel not in index.channels:
            raise ValueError(f"{index.path} has no dense channel, which gradients go through")
        self._index, self._data, self._channel = index, data, channel
        self._answers = answers or {}
        self._ids = index.row_ids(channel)
        self._known = lru_cache(maxsize=None)(self._rows)

    def within(self, answers: Mapping[str, frozenset[str]]) -> "IndexRows":
        """Return the rows for some queries and their answers; no other is looked at."""
        return IndexRows(self._index, self._data, self._channel, answers)

    def positives(self, query_id: str) -> NDArray[np.float32]:
        """Return the rows of the answers that the index has."""
        return np.concatenate(list(self._known(query_id)[0].values()))

    def negatives(self, query_id: str) -> NDArray[np.float32]:
        """Return rows near the first answer that are not relevant."""
        near = list(self._known(query_id)[1].values())
        return np.concatenate(near) if near else self.positives(query_id)[:0]

    def text(self, query_id: str) -> str:
        """Return the query."""
        self._check(query_id)
        return self._data.queries[query_id]

    def sample(self, seed: int) -> dict[str, Float32Array]:
        """Return the rows of at most SAMPLE documents drawn at random, by id."""
        ids = self._index.ids()
        drawn = np.random.default_rng([seed, 92]).permutation(len(ids))[:SAMPLE]
        read = ((ids[at], self._vectors(ids[at])) for at in sorted(drawn.tolist()))
        return {name: rows for name, rows in read if rows is not None}

    def pool(
        self, query_ids: Sequence[str], rows: tuple[Float32Array, NDArray[np.int64]], seed: int
    ) -> AnswerPool:
        """Return queries with their answers, what is near those, and a sample of all documents.

        Args:
            query_ids: of queries whose answers may be learned from.
            rows: (rows, dim) of the queries, and which query each is of.
            seed: of the sample.
        """
        documents: dict[str, Float32Array] = {}
        for query in query_ids:
            answers, near = self._known(query)
            documents |= answers | near
        documents |= self.sample(seed)
        return AnswerPool.of(
            rows,
            documents,
            [self._known(query)[0].keys() for query in query_ids],
            [self._data.relevant_of(query) for query in query_ids],
        )

    def _check(self, query_id: str) -> None:
        if query_id not in self._answers:
            raise ValueError(
                f"query {query_id!r} has no answers that may be learned from: what learns from "
                "document vectors looks at queries of SEARCH only"
            )

    def _rows(self, query_id: str) -> tuple[dict[str, Float32Array], dict[str, Float32Array]]:
        self._check(query_id)
        relevant = self._data.relevant_of(query_id)
        answers = self._held(sorted(self._answers[query_id]))
        if not answers:
            raise ValueError(f"the index has none of the documents relevant to query {query_id!r}")
        first = next(iter(answers.values()))[:1]
        near = Representation(first, None, np.zeros(1, np.int64))
        rows = self._index.with_fits({self._channel: None})  # it is compared as it is held
        hits = rows.search(self._channel, near, NEAREST + len(relevant)).rows[0]
        found = dict.fromkeys(self._ids[int(row)] for row in hits if row >= 0)
        others = [document for document in found if document not in relevant]
        return answers, self._held(others[:NEAREST])

    def _held(self, ids: Sequence[str]) -> dict[str, Float32Array]:
        read = ((name, self._vectors(name)) for name in ids)
        return {name: rows for name, rows in read if rows is not None}

    def _vectors(self, document_id: str) -> Float32Array | None:
        try:
            rows = self._index.vectors(self._channel, document_id)
        except ValueError:  # judged, and not in the index
            return None
        return rows if len(rows) else None


class QueryRows:
    """Dense rows of queries under the default prompt, as they are compared with documents.

    Attributes:
        documents: rows of their answers.
    """

    def __init__(self, objective: IndexObjective, default: Prompt) -> None:
        """Take what searches, and the default prompt.

        Raises:
            ValueError: no dense channel is searched by it.
        """
        if objective.dense is None:
            raise ValueError(f"no dense rows are searched: {', '.join(objective.channels)}")
        self._objective, self._channel = objective, objective.dense
        self._encoder = objective.encoder(default)
        self.documents = IndexRows(objective.index, objective.data, objective.dense)

    def tokens(self, query_ids: Sequence[str]) -> int:
        """Count what reading queries takes."""
        texts = [self._objective.data.queries[query] for query in query_ids]
        return fed_tokens(self._encoder, texts)

    def read(self, query_ids: Sequence[str]) -> tuple[Float32Array, NDArray[np.int64]]:
        """Return (rows, dim) unit rows before any map of the default prompt, and their owners."""
        texts = [self._objective.data.queries[query] for query in query_ids]
        rows = before_map(self._encoder).encode(texts, Role.QUERY)
        fit = read_query_fit(self._objective.index.channels[self._channel], self._encoder)
        rows = fit.change_rows(rows, Role.QUERY) if fit is not None else rows
        assert rows.dense is not None, self._channel
        return rows.dense, rows.owner

    def adapting(self, adapter: QueryAdapter) -> QueryAdapter:
        """Return a map with the soft tokens of the default prompt, if it has some."""
        if not isinstance(self._encoder, AdaptedEncoder):
            return adapter
        own = self._encoder.adaptation
        return QueryAdapter(own.soft, own.router, adapter.matrix, adapter.offset)
