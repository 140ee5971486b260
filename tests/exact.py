"""Brute force over exact inner products: an oracle for the channels of an index."""

import numpy as np
import torch
from numpy.typing import NDArray

from embedder.types import Representation
from index.base import Hits
from index.channels.dense import dense_queries
from index.topk import BestRows, check_k, check_live, rounding_slack

_SCORES = 1 << 26  # scores held at a time: 256 MiB
_SPARE = 32  # candidates beyond k, in the hope that no more are needed


class ExactIndex:
    """All inner products of float32 vectors.

    A matrix product rounds differently with the shape of the batch, so it only chooses
    candidates; their scores are summed in float64 and rounded to float32. Thus equal vectors
    score equal, in every batch and on every device.

    Args:
        vectors: (n, dim) float32 unit rows.
        device: where torch computes.
    """

    def __init__(self, vectors: NDArray[np.float32], device: str = "cpu") -> None:
        if vectors.ndim != 2 or vectors.dtype != np.float32:
            raise ValueError(
                f"vectors must be (n, dim) float32; got {vectors.shape} {vectors.dtype}"
            )
        self._vectors = torch.tensor(np.ascontiguousarray(vectors), device=device)

    @property
    def rows(self) -> int:
        """Number of rows, deleted ones included."""
        return len(self._vectors)

    def search(
        self, queries: Representation, k: int, live: NDArray[np.bool_] | None = None
    ) -> Hits:
        """Return the k highest-scoring rows per query; ties go to the lower row.

        Raises:
            ValueError: queries have no dense rows or another width, k is below 1, or live has
                another shape.
        """
        check_k(k)
        check_live(live, self.rows)
        dense = dense_queries(queries, self._vectors.shape[1])
        collected = BestRows(len(dense), k)
        device = self._vectors.device
        dead = None if live is None else torch.tensor(~live, device=device)
        block = max(1, _SCORES // max(1, self.rows))
        for start in range(0, len(dense) if self.rows else 0, block):
            part = torch.tensor(dense[start : start + block], device=device)
            for at, rows in enumerate(self._candidates(part, k, dead), start):
                scores = self._vectors[rows].double() @ part[at - start].double()
                collected.fill(at, rows.cpu().numpy(), scores.float().cpu().numpy())
        return collected.hits()

    def _candidates(
        self, queries: torch.Tensor, k: int, dead: torch.Tensor | None
    ) -> list[torch.Tensor]:
        """Return for each query, ascending, the rows that rounding may put among the best k."""
        scores = queries @ self._vectors.T  # (q, n)
        if dead is not None:
            scores.masked_fill_(dead, -torch.inf)
        slack = rounding_slack(self._vectors.shape[1])
        wanted = min(k + _SPARE, self.rows)
        while True:
            best = scores.topk(wanted, dim=1)
            least = best.values[:, min(k, self.rows) - 1, None] - slack
            if wanted == self.rows or bool((best.values[:, -1:] < least).all()):
                break
            wanted = min(2 * wanted, self.rows)
        near = (best.values >= least) & (best.values > -torch.inf)
        return [rows[kept].sort().values for rows, kept in zip(best.indices, near, strict=True)]
