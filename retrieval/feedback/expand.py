"""Expand queries by the rows of the documents that were found for them, in every channel."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from embedder.inspect.word_columns import piece_names
from embedder.types import Encoder, Float64Array, NamesTerms, Representation, unit_rows
from index.folder import Index
from retrieval.feedback.read import Feedback
from retrieval.feedback.rocchio import Rocchio
from retrieval.run import ranked


def expand_channels(
    index: Index,
    encoders: Mapping[str, Encoder],
    feedback: Feedback,
    queries: Mapping[str, Representation],
    found: Mapping[str, Sequence[Mapping[str, float]]],
) -> tuple[dict[str, Representation], Counter[str]]:
    """Expand the queries of every channel that the feedback serves; RM3 serves words.

    Args:
        index: changes no queries, see `Index.with_fits`.
        encoders: channel -> encoder, which names its terms.
        feedback: how.
        queries: channel -> rows, prepared as `ChannelRows.prepare` does.
        found: channel -> for each text, its documents with their scores.

    Returns:
        The new rows; and channel -> number of texts whose rows stay as they were, because they
        found nothing, or no term of what they found may be added.
    """
    expanded: dict[str, Representation] = {}
    unchanged: Counter[str] = Counter()
    for name, rows in queries.items():
        expander = _Expander(index, name, encoders[name], feedback)
        expanded[name], unchanged[name] = expander.expand(rows, found[name])
    return expanded, unchanged


@dataclass(frozen=True, slots=True, eq=False)
class _ChosenRows:
    """What one row of a query is expanded by.

    Attributes:
        ids: of documents, the best first.
        rows: (n,) int64: for each, the number of its best row for the query.
        scores: (n,) float64 of the documents.
    """

    ids: Sequence[str]
    rows: NDArray[np.int64]
    scores: Float64Array


@dataclass(frozen=True, slots=True)
class _Expander:
    """Expands the queries of one channel."""

    index: Index
    channel: str
    encoder: Encoder
    feedback: Feedback

    def expand(
        self, queries: Representation, found: Sequence[Mapping[str, float]]
    ) -> tuple[Representation, int]:
        """Return the new rows of queries, and how many texts stay as they were."""
        if self.index.channels[self.channel].kind not in self.feedback.kinds:
            return queries, 0
        chosen = [
            self._choose_rows(queries.of_row(row), found[text])
            for row, text in enumerate(queries.owner.tolist())
        ]
        numbers = np.concatenate([np.zeros(0, np.int64), *(each.rows for each in chosen)])
        if not len(numbers):
            return queries, len(found)
        stored = self.index.channel_rows(self.channel).read(numbers)
        bounds = np.cumsum([0, *(len(each.rows) for each in chosen)])
        new = [
            self._expand_row(queries.of_row(row), stored, (bounds[row], bounds[row + 1]), each)
            for row, each in enumerate(chosen)
        ]
        changed = {
            text for row, text in zip(new, queries.owner.tolist(), strict=True) if row is not None
        }
        rows = [queries.of_row(at) if row is None else row for at, row in enumerate(new)]
        expanded = Representation.concatenate(rows, 1)
        return (
            Representation(expanded.dense, expanded.sparse, queries.owner),
            len(found) - len(changed),
        )

    def _choose_rows(self, query: Representation, scores: Mapping[str, float]) -> _ChosenRows:
        """Choose the best documents, and of each the row that suits the query best."""
        rows = {}
        for document_id, _ in ranked(scores)[: self.feedback.documents]:
            numbers = self.index.rows_of(self.channel, document_id)
            if len(numbers) > 1:
                matches = self.index.matches(self.channel, query, document_id)
                rows[document_id] = max(matches, key=lambda match: (match.score, -match.row)).row
            elif len(numbers):
                rows[document_id] = int(numbers[0])
        values = [scores[document_id] for document_id in rows]
        return _ChosenRows(
            list(rows), np.array([*rows.values()], np.int64), np.array(values, np.float64)
        )

    def _expand_row(
        self,
        query: Representation,
        stored: Representation,
        span: tuple[int, int],
        chosen: _ChosenRows,
    ) -> Representation | None:
        """Expand one row of a query; None where it stays."""
        start, end = span
        if start == end:
            return None
        if query.dense is not None and stored.dense is not None:
            assert isinstance(self.feedback, Rocchio)
            rows = stored.dense[start:end].astype(np.float64)
            mixed = self.feedback.mix_dense(query.dense[0].astype(np.float64), rows)
            return Representation(unit_rows(mixed[None].astype(np.float32)), None, query.owner)
        assert query.sparse is not None and stored.sparse is not None
        sparse = self._expand_terms(query.sparse, stored.sparse[start:end], chosen)
        return None if sparse is None else Representation(None, sparse, query.owner)

    def _expand_terms(
        self, query: csr_matrix, documents: csr_matrix, chosen: _ChosenRows
    ) -> csr_matrix | None:
        columns = np.unique(np.concatenate([query.indices, documents.indices]))
        weights = _spread(documents, columns)
        weights[:, ~self._may_be_added(columns, chosen.ids)] = 0
        model = self.feedback.model(weights, chosen.scores)
        if not model.any():
            return None
        mixed = self.feedback.mix(_spread(query, columns)[0], model).astype(np.float32)
        kept = np.flatnonzero(mixed > 0)
        if not len(kept):  # a weight of the query next to 0, and no other
            return None
        return csr_matrix((mixed[kept], columns[kept], [0, len(kept)]), shape=query.shape)

    def _may_be_added(
        self, columns: NDArray[np.int64], document_ids: Sequence[str]
    ) -> NDArray[np.bool_]:
        """Tell which columns are terms that are not too common, and words by their names."""
        rare = self.index.channel_rows(self.channel).shares(columns) <= self.feedback.common
        if isinstance(self.encoder, NamesTerms):
            texts = [self.index.document(document_id).content for document_id in document_ids]
            names = piece_names(self.encoder, columns[rare].tolist(), texts)
            is_word = self.feedback.words.fullmatch
            rare[rare] = [is_word(names[column]) is not None for column in columns[rare].tolist()]
        return rare


def _spread(rows: csr_matrix, columns: NDArray[np.int64]) -> Float64Array:
    """Return the weights of rows in some columns, among them all that they have, (n, columns)."""
    spread = np.zeros((rows.shape[0], len(columns)))
    owner = np.repeat(np.arange(rows.shape[0]), np.diff(rows.indptr))
    spread[owner, np.searchsorted(columns, rows.indices)] = rows.data
    return spread
