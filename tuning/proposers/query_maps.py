"""Maps of query rows, and how strong each should be, as held-out queries have it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from embedder.prompts.query_adapter import QueryAdapter
from embedder.types import Float32Array, Float64Array
from tuning.proposers.answer_pool import AnswerPool

STEPS = (0.05, 0.1, 0.2, 0.35, 0.5, 1.0)  # of the way from queries to their answers
SHRUNK = (0.98, 0.9, 0.7, 0.5, 0.2, 0.05)  # towards no whitening
RIDGES = (30.0, 10.0, 3.0, 1.0, 0.3)  # times the mean variance of queries
RANKS = (4, 16, 64)
EPOCHS = (2, 5, 10, 20, 40, 80)
SURE = 1.0  # standard errors by which a map must be better than none
RATE, TEMPERATURE = 0.01, 0.05  # of the learned offset

Fit = Callable[[AnswerPool], "list[QueryAdapter]"]


@dataclass(frozen=True, slots=True)
class MapKind:
    """One kind of map.

    Attributes:
        name: for people.
        settings: what its strengths are called, the weakest first.
        fit: returns the map of each setting.
    """

    name: str
    settings: tuple[str, ...]
    fit: Fit


@dataclass(frozen=True, slots=True)
class ChosenMap:
    """A map at the strength that held-out queries favour.

    Attributes:
        title: for people.
        adapter: None where no strength was surely better than no map.
        gain: of the mean log-probability of answers, on held-out queries.
    """

    title: str
    adapter: QueryAdapter | None
    gain: float


def choose_strength(kind: MapKind, pool: AnswerPool, seed: int) -> ChosenMap:
    """Fit a kind of map to a pool, as strongly as suits queries that are held out.

    No document that answers a held-out query is learned from. The weakest strength wins that is
    within one standard error of the best (Breiman et al., CART, 1984).

    Args:
        kind: of map.
        pool: at least two queries.
        seed: of the folds.
    """
    gains = np.full((len(kind.settings), len(pool)), np.nan)
    nothing = np.zeros(pool.answers.shape[1], np.bool_)
    for held in pool.folds(seed):
        held_answers = np.any(pool.answers[held], axis=0, keepdims=True)[0]
        rest = pool.part(~held, held_answers)
        if not len(rest):
            continue
        judged = pool.part(held, nothing)
        base = judged.log_probabilities(judged.queries)
        for at, each in enumerate(kind.fit(rest)):
            gains[at, held] = judged.log_probabilities(each.mapped(judged.queries)) - base
    gains = gains[:, ~np.isnan(gains[0])]
    if not gains.shape[1]:
        return ChosenMap(kind.name, None, 0.0)
    at = _weakest(gains)
    gain, error = float(gains[at].mean()), float(gains[at].std()) / np.sqrt(gains.shape[1])
    adapter = kind.fit(pool)[at] if gain > SURE * error else None
    return ChosenMap(f"{kind.name}, {kind.settings[at]}", adapter, gain)


def _weakest(gains: Float64Array) -> int:
    """Return the first setting within one standard error of the best, paired."""
    best = int(gains.mean(axis=1).argmax())
    behind = gains[best] - gains
    errors = behind.std(axis=1) / np.sqrt(gains.shape[1])
    return int(np.argmax(behind.mean(axis=1) <= errors))


def residual_step() -> MapKind:
    """Move every query a part of the mean way to the answers."""

    def fit(pool: AnswerPool) -> list[QueryAdapter]:
        way = (pool.targets() - pool.queries).mean(axis=0)
        return [_moved(step * way) for step in STEPS]

    settings = tuple(f"{step:g} of the way to the answers" for step in STEPS)
    return MapKind("residual step", settings, fit)


def learned_offset() -> MapKind:
    """Learn one offset for all queries in output space (ConES, Chen et al., 2023), a while."""
    settings = tuple(f"{epochs} epochs" for epochs in EPOCHS)
    return MapKind("learned offset", settings, _offsets)


def low_rank_map() -> MapKind:
    """Predict answers from queries by ridge regression of low rank (Izenman, JMVA 1975)."""
    grid = [(ridge, rank) for ridge in RIDGES for rank in RANKS]

    def fit(pool: AnswerPool) -> list[QueryAdapter]:
        return [adapter for ridge in RIDGES for adapter in _ranks(pool, ridge)]

    settings = tuple(f"ridge {ridge:g}, rank {rank}" for ridge, rank in grid)
    return MapKind("low-rank map", settings, fit)


def query_whitening(rows: Float32Array) -> MapKind:
    """Score as if queries and documents were whitened, but for the length of documents.

    Args:
        rows: (n, dim) of documents, not all alike.
    """

    def fit(pool: AnswerPool) -> list[QueryAdapter]:
        mean = pool.queries.mean(axis=0)
        return [whitening(rows, shrunk, mean) for shrunk in SHRUNK]

    settings = tuple(f"{shrunk:g} shrunk" for shrunk in SHRUNK)
    return MapKind("whitening of queries", settings, fit)


def whitening(
    rows: Float32Array, shrunk: float, query_mean: Float32Array | None = None
) -> QueryAdapter:
    """Return the map of queries that scores as if queries and documents were whitened.

    With y = W(x - mean), each role about its own, the inner product of two whitened rows is
    W'W(q - mean) . d less what is the same for all documents; so documents stay as they are
    (Su et al., 2021, but for their unit length afterwards).

    Args:
        rows: (n, dim) of documents.
        shrunk: share of the identity, scaled, in the covariance; above 0.
        query_mean: (dim,); None takes the documents'.
    """
    mean = rows.mean(axis=0)
    centred = (rows - mean).astype(np.float64)
    covariance = centred.T @ centred / len(rows)
    scale = np.trace(covariance) / len(covariance)
    mixed = (1 - shrunk) * covariance + shrunk * scale * np.eye(len(covariance))
    matrix = (scale * np.linalg.inv(mixed)).astype(np.float32)
    mean = mean if query_mean is None else query_mean
    return QueryAdapter(matrix=matrix, offset=(-matrix @ mean).astype(np.float32))


def _ranks(pool: AnswerPool, ridge: float) -> list[QueryAdapter]:
    """Return unit(q + R(q - mean) + way): R predicts what answers differ by, cut to each rank."""
    queries, targets = (rows.astype(np.float64) for rows in (pool.queries, pool.targets()))
    mean, differences = queries.mean(axis=0), targets - queries
    way = differences.mean(axis=0)
    centred, wanted = queries - mean, differences - way
    added = ridge * (centred**2).sum() / len(centred)
    gram = centred @ centred.T
    weights = np.linalg.solve(gram + added * np.eye(len(gram)), wanted)  # (rows, dim)
    _, _, directions = np.linalg.svd(gram @ weights, full_matrices=False)
    full = centred.T @ weights  # (dim, dim): row @ full
    adapters = []
    for rank in RANKS:
        kept = directions[:rank]
        moved = ((full @ kept.T) @ kept).T
        matrix = (np.eye(len(moved)) + moved).astype(np.float32)
        adapters.append(QueryAdapter(matrix=matrix, offset=(-moved @ mean).astype(np.float32)))
    return adapters


def _offsets(pool: AnswerPool) -> list[QueryAdapter]:
    """Return the offset after each number of epochs; all queries are one batch."""
    import torch

    queries, documents = torch.from_numpy(pool.queries), torch.from_numpy(pool.documents)
    owner = torch.from_numpy(pool.owner)
    answers, relevant = torch.from_numpy(pool.answers), torch.from_numpy(pool.relevant)
    best = torch.from_numpy(pool.starts)  # a document's first row stands for it
    offset = torch.zeros(queries.shape[1], requires_grad=True)
    optimizer = torch.optim.Adam([offset], lr=RATE)
    adapters: list[QueryAdapter] = []
    for epoch in range(1, max(EPOCHS) + 1):
        rows = torch.nn.functional.normalize(queries + offset, dim=1)
        logits = rows @ documents[best].T / TEMPERATURE
        wrong = logits.masked_fill(relevant[owner], -torch.inf).logsumexp(1, keepdim=True)
        logs = logits - torch.logaddexp(wrong, logits)
        loss = -logs[answers[owner]].mean()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        if epoch in EPOCHS:
            adapters.append(_moved(offset.detach().numpy().copy()))
    return adapters


def _moved(offset: Float32Array) -> QueryAdapter:
    return QueryAdapter(offset=offset.astype(np.float32))


def map_kinds(sample: Float32Array) -> Sequence[MapKind]:
    """Return the kinds that can be fitted where documents have these (n, dim) rows."""
    kinds = [residual_step(), learned_offset(), low_rank_map()]
    if (sample != sample[:1]).any():  # rows that are all alike have no directions to whiten
        kinds.append(query_whitening(sample))
    return kinds
