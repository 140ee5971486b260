"""The order in which trec_eval takes the documents of a query, on which every measure rests.

Scores are compared in single precision, and of equal ones the document whose id sorts last comes
first.
"""

from collections.abc import Iterable, Mapping, Sequence
from heapq import nlargest

import numpy as np
from numpy.typing import NDArray

from retrieval.run import Run

DEPTH = 10  # documents of a query that are examined


def rank_documents(scores: Mapping[str, float], k: int) -> dict[str, float]:
    """Keep the k best documents of a query, best first; scores come in single precision."""
    with np.errstate(over="ignore"):  # too large scores become infinite, as in trec_eval
        single = np.array([*scores.values()], np.float32).tolist()
    best = nlargest(k, zip(single, scores, strict=True))
    return {document: score for score, document in best}


def cut_run(run: Run, k: int = DEPTH + 1) -> Run:
    """Keep the k best documents of every query, see `rank_documents`."""
    return {query_id: rank_documents(scores, k) for query_id, scores in run.items()}


def sort_ties(documents: Iterable[str]) -> list[str]:
    """Sort documents as trec_eval orders equal scores."""
    return sorted(documents, reverse=True)


def rank_columns(scores: NDArray[np.float64], columns: Sequence[int]) -> NDArray[np.float64]:
    """Rank some documents under many scorings at once, without sorting any of them.

    Args:
        scores: (n, documents), documents in the order of `sort_ties`; -inf where a scoring does
            not return a document.
        columns: of the documents that are ranked.

    Returns:
        (len(columns), n) ranks from 1, infinite where the document is not returned.
    """
    with np.errstate(over="ignore"):
        single = scores.astype(np.float32)
    ranks = np.full((len(columns), len(scores)), np.inf)
    for rank, column in zip(ranks, columns, strict=True):
        column_scores = single[:, column : column + 1]
        better = (single > column_scores).sum(axis=1)
        earlier_ties = (single[:, :column] == column_scores).sum(axis=1)
        is_returned = np.isfinite(scores[:, column])
        rank[is_returned] = (1.0 + better + earlier_ties)[is_returned]
    return ranks
