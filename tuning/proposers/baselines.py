"""What needs no prompt: maps of query vectors that are computed, and tried before any words.

If none of the words that are found is surely better than these, there is no use in the words.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from embedder.encoders.adapted import QueryAdapter
from embedder.types import Float32Array
from tuning.proposers.gradients import GradientModel
from tuning.search.budget import Cost
from tuning.search.types import Proposal, ProposerContext, Scored

STEPS = (0.05, 0.1, 0.2, 0.5)  # of the way from queries to their answers
SHRUNK = (0.5, 0.9)  # towards no whitening
LEARNING, EPOCHS = 0.01, 40


@dataclass(slots=True)
class Baselines:
    """Proposes once.

    Attributes:
        context: what it works with.
        gradients: reads queries, and knows the documents.
        folder: where files of vectors go.
        name: "baselines".
    """

    context: ProposerContext
    gradients: GradientModel
    folder: Path
    name: str = "baselines"
    _done: bool = False

    def ask(self, n: int) -> list[Proposal]:
        """Read the queries of SEARCH once, and propose every map."""
        if self._done:
            return []
        self._done = True
        cost = Cost(tokens=self.gradients.tokens(self.context.search, 0) // 2)
        self.context.once("baselines", len(self.context.search), cost, lambda: None)
        return [
            Proposal(
                replace(self.context.space.default, adapt=adapter.save(self.folder)),
                self.name,
                method,
                prompted=False,
            )
            for method, adapter in self._maps()
        ]

    def tell(self, results: Sequence[Scored]) -> None:
        """Nothing is learned from scores."""

    def _maps(self) -> Iterator[tuple[str, QueryAdapter]]:
        queries = self._queries()
        answers = [
            self.gradients.documents.positives(query).mean(axis=0) for query in self.context.search
        ]
        way = np.mean(answers, axis=0) - queries.mean(axis=0)
        for step in STEPS:
            yield f"{step:g} of the way to the answers (residual)", _moved(step * way)
        yield "learned offset", _moved(self._learned(queries))
        rows = np.concatenate(
            [self.gradients.documents.negatives(query) for query in self.context.search]
        )
        if (rows != rows[:1]).any():  # rows that are all alike have no directions to whiten
            for shrunk in SHRUNK:
                yield f"whitened, {shrunk:g} shrunk", whitening(rows, shrunk)

    def _queries(self) -> Float32Array:
        import torch

        ids, size = list(self.context.search), 64
        with torch.no_grad():
            parts = [
                self.gradients.vectors(ids[at : at + size], None) for at in range(0, len(ids), size)
            ]
        return np.asarray(torch.cat(parts).cpu().numpy(), dtype=np.float32)

    def _learned(self, queries: Float32Array) -> Float32Array:
        """Learn one offset for all queries in output space (ConES, Chen et al., 2023)."""
        import torch
        from torch.nn.functional import normalize

        rows = torch.from_numpy(queries)
        offset = torch.zeros(queries.shape[1], requires_grad=True)
        optimizer = torch.optim.Adam([offset], lr=LEARNING)
        for _ in range(EPOCHS):
            loss = self.gradients.loss(self.context.search, normalize(rows + offset, dim=1))
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        return np.asarray(offset.detach().numpy(), dtype=np.float32)


def whitening(rows: Float32Array, shrunk: float) -> QueryAdapter:
    """Return the map of queries that scores as if queries and documents were whitened.

    With y = W(x - mean), the inner product of two whitened rows is W'W(q - mean) . d less what is
    the same for all documents; so documents stay as they are (Su et al., 2021, but for their
    unit length afterwards).

    Args:
        rows: (n, dim) of documents.
        shrunk: share of the identity, scaled, in the covariance; above 0.
    """
    mean = rows.mean(axis=0)
    centred = (rows - mean).astype(np.float64)
    covariance = centred.T @ centred / len(rows)
    scale = np.trace(covariance) / len(covariance)
    mixed = (1 - shrunk) * covariance + shrunk * scale * np.eye(len(covariance))
    matrix = (scale * np.linalg.inv(mixed)).astype(np.float32)
    return QueryAdapter(matrix=matrix, offset=(-matrix @ mean).astype(np.float32))


def _moved(offset: Float32Array) -> QueryAdapter:
    return QueryAdapter(offset=offset.astype(np.float32))
