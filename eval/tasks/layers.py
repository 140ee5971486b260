"""Which block's states retrieve best: a sample of a collection, read at every depth at once."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embedder.arguments import check_count
from embedder.inspect.layer_states import LayerReader
from embedder.types import Role
from eval.data.collections import Collection
from eval.data.qrels import Qrels
from eval.measures.measures import check_measure, evaluate
from eval.statistics.significance import Interval, mean_interval
from index.documents import Document
from retrieval.run import Run, cut

_DEPTH = 1000  # documents of a run


@dataclass(frozen=True, slots=True)
class LayerSample:
    """What is read of a collection.

    Attributes:
        queries: most judged queries, drawn by the seed.
        documents: all that are relevant to these queries, and others by chance up to so many.
        measure: by which depths are compared.
        seed: of what is drawn, and of intervals.
    """

    queries: int = 50
    documents: int = 500
    measure: str = "nDCG@10"
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("queries", "documents"):
            check_count(getattr(self, name), name, 1)
        check_measure(self.measure)


@dataclass(frozen=True, slots=True)
class DrawnSample:
    """What was drawn of a collection.

    Attributes:
        dataset: name of the collection.
        queries: query id -> text.
        qrels: their judgements.
        documents: in the order of the collection.
    """

    dataset: str
    queries: Mapping[str, str]
    qrels: Qrels
    documents: Sequence[Document]

    @property
    def texts(self) -> int:
        """How many texts are read."""
        return len(self.queries) + len(self.documents)


@dataclass(frozen=True, slots=True)
class DepthScore:
    """How the states of one depth retrieve.

    Attributes:
        depth: blocks below the states.
        mean: of the measure over the queries.
        gain: interval of its mean less that of the topmost states, 95 %; None for one query.
        cosine: mean of two documents' states: near 1, all texts look alike.
    """

    depth: int
    mean: float
    gain: Interval | None
    cosine: float


@dataclass(frozen=True, slots=True)
class LayerCurve:
    """The depths of a model by how their states retrieve; scores are of the sample alone.

    Attributes:
        dataset: name of the collection.
        measure: name of it.
        queries: how many were asked.
        documents: how many were searched.
        scores: of every depth, from the embeddings to the top.
    """

    dataset: str
    measure: str
    queries: int
    documents: int
    scores: tuple[DepthScore, ...]

    @property
    def best(self) -> DepthScore:
        """The depth of the best mean; of equal ones the lowest, which reads fewest blocks."""
        return max(self.scores, key=lambda score: (score.mean, -score.depth))

    def to_json(self) -> dict[str, Any]:
        """Return every figure, for JSON."""
        return asdict(self) | {"best": self.best.depth}


def judge_layers(
    reader: LayerReader,
    drawn: DrawnSample,
    norm: str,
    sample: LayerSample,
    advance: Callable[[int], None] = lambda done: None,
) -> LayerCurve:
    """Search a sample of a collection by the states of every block.

    Args:
        reader: of a prompt on a model.
        drawn: what is read, by `draw_sample`.
        norm: where the final norm is passed, as `ReadoutRules.norm` has it.
        sample: by which it was drawn; says the measure too.
        advance: told how many texts have been read.
    """
    done, qrels = 0, drawn.qrels

    def read(text: str, role: Role) -> NDArray[np.float32]:
        nonlocal done
        rows, done = reader.rows(text, role, norm), done + 1
        advance(done)
        return rows

    queries = np.stack([read(drawn.queries[name], Role.QUERY) for name in qrels], 1)
    rows = np.stack([read(document.content, Role.DOCUMENT) for document in drawn.documents], 1)
    ids = [document.id for document in drawn.documents]
    values = [
        evaluate(_search(ours, theirs, [*qrels], ids), qrels, [sample.measure])[sample.measure]
        for ours, theirs in zip(queries, rows, strict=True)
    ]
    table = np.array([[by_query[query_id] for query_id in qrels] for by_query in values])
    scores = tuple(
        DepthScore(
            depth,
            fmean(line),
            mean_interval([line - table[-1]], np.random.default_rng(sample.seed)),
            _mean_cosine(rows[depth]),
        )
        for depth, line in enumerate(table)
    )
    return LayerCurve(drawn.dataset, sample.measure, len(qrels), len(ids), scores)


def draw_sample(collection: Collection, sample: LayerSample) -> DrawnSample:
    """Draw queries, and documents, of which all that are relevant to these queries.

    Raises:
        ValueError: nothing is judged, or none of the relevant documents is in the collection.
    """
    generator = np.random.default_rng(sample.seed)
    judged = {query: gains for query, gains in collection.qrels().items() if any(gains.values())}
    names = sorted(judged)
    drawn = generator.permutation(len(names))[: sample.queries].tolist()
    qrels = {names[at]: judged[names[at]] for at in sorted(drawn)}
    asked = collection.queries()
    relevant = {name for gains in qrels.values() for name, gain in gains.items() if gain > 0}
    documents = list(collection.documents())
    found = [at for at, document in enumerate(documents) if document.id in relevant]
    if not found:
        raise ValueError(f"{collection.name}: none of its relevant documents is in it")
    others = np.setdiff1d(np.arange(len(documents)), found)
    wanted = max(0, min(sample.documents - len(found), len(others)))
    chosen = generator.permutation(others)[:wanted].tolist()
    return DrawnSample(
        collection.name,
        {name: asked[name] for name in qrels},
        qrels,
        [documents[at] for at in sorted([*found, *chosen])],
    )


def _search(
    queries: NDArray[np.float32], rows: NDArray[np.float32], names: list[str], ids: list[str]
) -> Run:
    scores = queries @ rows.T
    run = {
        name: dict(zip(ids, line, strict=True))
        for name, line in zip(names, scores.tolist(), strict=True)
    }
    return cut(run, _DEPTH)


def _mean_cosine(rows: NDArray[np.float32]) -> float:
    """Return the mean cosine of two different rows of unit length."""
    n = len(rows)
    if n < 2:
        return 1.0
    total = rows.sum(0, dtype=np.float64)
    return float((total @ total - n) / (n * (n - 1)))
