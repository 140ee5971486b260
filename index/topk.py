"""Best k of scores and of partial results; owns the tie rule: the lower row wins."""

import numpy as np
from numpy.typing import NDArray

from index.base import NO_ROW, Hits

_GROUP = 64  # scores whose maximum stands for them while a bound of the k-th score is sought


def check_k(k: int) -> None:
    """Refuse a number of hits below 1."""
    if k < 1:
        raise ValueError(f"k must be at least 1; got {k}")


def check_live(live: NDArray[np.bool_] | None, rows: int) -> None:
    """Refuse a mask that is not one bool for each of `rows` rows."""
    if live is not None and (live.shape != (rows,) or live.dtype != np.bool_):
        raise ValueError(f"live must be ({rows},) bool; got {live.shape} {live.dtype}")


def select(scores: NDArray[np.float32], k: int, live: NDArray[np.bool_] | None = None) -> Hits:
    """Return the k best rows of each query, given all scores; ties go to the lower row.

    Args:
        scores: (q, n) float32; -inf is never returned.
        k: at least 1; fewer rows than k are padded.
        live: (n,) True where a row may be returned; None means all.

    Raises:
        ValueError: k is below 1, scores hold NaN, or live has another shape.
    """
    check_k(k)
    check_live(live, scores.shape[1])
    collected = BestRows(len(scores), k)
    for query, row_scores in enumerate(scores):
        if np.isnan(row_scores).any():
            raise ValueError(f"scores of query {query} hold NaN")
        rows = near_best(row_scores, k, 0.0, live)
        collected.fill(query, rows, row_scores[rows])
    return collected.hits()


class BestRows:
    """Collects the best rows of each query, padded where there are fewer than k.

    Attributes:
        rows: (queries, k) int64, NO_ROW where nothing was filled in.
        scores: (queries, k) float32, -inf where nothing was filled in.
    """

    def __init__(self, queries: int, k: int) -> None:
        self.rows = np.full((queries, k), NO_ROW, np.int64)
        self.scores = np.full((queries, k), -np.inf, np.float32)

    def fill(self, query: int, rows: NDArray[np.int64], scores: NDArray[np.float32]) -> None:
        """Write the best of a query's candidates, best first.

        Args:
            query: number of the query.
            rows: (n,) ascending.
            scores: (n,) finite.
        """
        best = np.argsort(-scores, kind="stable")[: self.rows.shape[1]]  # stable: lower rows first
        self.rows[query, : len(best)] = rows[best]
        self.scores[query, : len(best)] = scores[best]

    @property
    def floors(self) -> NDArray[np.float32]:
        """(queries,) the k-th best score so far; -inf where there are fewer rows."""
        return self.scores[:, -1]

    def take_in(self, hits: Hits, offset: int) -> None:
        """Take in the best of rows that are all above those so far: of equal ones, these stay.

        Args:
            hits: of the same queries.
            offset: what is added to their rows.

        Raises:
            ValueError: they are of another number of queries.
        """
        if len(hits.rows) != len(self.rows):
            raise ValueError(
                f"hits must be of the same queries; got {len(hits.rows)} of {len(self.rows)}"
            )
        better = int((hits.scores > self.floors[:, None]).sum(axis=1).max(initial=0))
        rows, scores = hits.rows[:, :better], hits.scores[:, :better]
        rows = np.concatenate([self.rows, np.where(rows == NO_ROW, NO_ROW, rows + offset)], axis=1)
        scores = np.concatenate([self.scores, scores], axis=1)
        best = np.argsort(-scores, axis=1, kind="stable")[:, : self.rows.shape[1]]
        self.rows = np.take_along_axis(rows, best, axis=1)
        self.scores = np.take_along_axis(scores, best, axis=1)

    def hits(self) -> Hits:
        """Return the rows and scores so far."""
        return Hits(self.rows, self.scores)


def rounding_slack(dim: int) -> float:
    """Bound how far rounding can part two scores that their float32 products order wrongly.

    Twice the error of an inner product of unit vectors, lambda * sqrt(dim) * 2**-24, which fails
    with a chance below 1e-7 at lambda = 6 (Higham and Mary, SIAM J. Sci. Comput. 2019).
    """
    return float(2 * 6 * np.sqrt(dim) * 2.0**-24)


def near_best(
    scores: NDArray[np.float32], k: int, slack: float, live: NDArray[np.bool_] | None = None
) -> NDArray[np.int64]:
    """Return, ascending, at least all rows that score no less than the k-th best minus slack.

    Maxima of groups bound the k-th best score from below without sorting: k groups whose maxima
    reach a bound hold k rows that reach it.

    Args:
        scores: (n,) without NaN; -inf is left out.
        k: at least 1.
        slack: how far below the k-th best is still near, at least 0.
        live: (n,) False removes a row; None keeps all.
    """
    if live is not None:
        scores = np.where(live, scores, np.float32(-np.inf))
    if k >= len(scores):
        return np.flatnonzero(scores > -np.inf)
    groups = len(scores) // _GROUP
    sample = scores
    if groups >= 2 * k:
        sample = scores[: groups * _GROUP].reshape(groups, _GROUP).max(axis=1)
    # Negated, since numpy takes 20 times as long where most values equal the lowest: a few matches.
    lowest_first = -sample[sample > -np.inf]
    if k > len(lowest_first):
        return np.flatnonzero(scores > -np.inf)
    bound = -np.partition(lowest_first, k - 1)[k - 1] - np.float32(slack)
    return np.flatnonzero(scores >= bound)
