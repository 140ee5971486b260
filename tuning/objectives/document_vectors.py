"""Dense rows of documents for proposers that need gradients: answers, and what is near them."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from embedder.types import Representation
from index.folder import Index
from tuning.objectives.judged_queries import JudgedQueries

DENSE = "dense"
NEAREST = 12


class IndexRows:
    """Rows as an index holds them; negatives are the neighbours of a query's first answer.

    No query is read for them, so they cost no tokens.
    """

    def __init__(self, index: Index, data: JudgedQueries) -> None:
        """Take an index with a dense channel and judged queries.

        Raises:
            ValueError: there is no dense channel, or its rows are post-processed.
        """
        if DENSE not in index.channels:
            raise ValueError(f"{index.path} has no dense channel, which gradients go through")
        if index.channels[DENSE].post:
            raise ValueError(
                f"{index.path} post-processes its dense rows, which gradients do not go through"
            )
        self._index, self._data = index, data
        self._ids = index.row_ids(DENSE)
        self._known = lru_cache(maxsize=None)(self._rows)

    def positives(self, query_id: str) -> NDArray[np.float32]:
        """Return the rows of the relevant documents that the index has."""
        return self._known(query_id)[0]

    def negatives(self, query_id: str) -> NDArray[np.float32]:
        """Return rows near the first answer that are not relevant."""
        return self._known(query_id)[1]

    def text(self, query_id: str) -> str:
        """Return the query."""
        return self._data.queries[query_id]

    def _rows(self, query_id: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        relevant = self._data.relevant_of(query_id)
        positives = [
            rows for document in sorted(relevant) if (rows := self._vectors(document)) is not None
        ]
        if not positives:
            raise ValueError(f"the index has none of the documents relevant to query {query_id!r}")
        answers = np.concatenate(positives)
        near = Representation(answers[:1], None, np.zeros(1, np.int64))
        hits = self._index.search(DENSE, near, NEAREST + len(answers)).rows[0]
        wrong = [self._ids[int(row)] for row in hits if row >= 0]
        others = [document for document in dict.fromkeys(wrong) if document not in relevant]
        negatives = [rows for document in others if (rows := self._vectors(document)) is not None][
            :NEAREST
        ]
        return answers, np.concatenate(negatives) if negatives else answers[:0]

    def _vectors(self, document_id: str) -> NDArray[np.float32] | None:
        try:
            rows = self._index.vectors(DENSE, document_id)
        except ValueError:  # judged, and not in the index
            return None
        return rows if len(rows) else None
