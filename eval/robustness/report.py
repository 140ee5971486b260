"""What rewording its queries does to a search: kept answers, and lost measure."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

import numpy as np

from embedder.text.layout import align_columns
from eval.robustness.rewordings import KINDS, RewordingKind
from eval.statistics.significance import Interval, mean_interval

CHANGING: RewordingKind = "negation"
"""The kind that asks for something else: there a changed answer is right."""


@dataclass(frozen=True, slots=True)
class RewordedQuery:
    """A query written otherwise, and what became of its answer.

    Attributes:
        query_id: of the query.
        kind: of rewording.
        text: as reworded.
        overlap: share of the first k documents of the query that are among its own, 0 to 1.
        first_kept: its first document is the query's, or neither finds any.
        loss: the query's measure less that of the rewording; None where it is not judged.
    """

    query_id: str
    kind: RewordingKind
    text: str
    overlap: float
    first_kept: bool
    loss: float | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.overlap <= 1:
            raise ValueError(f"an overlap is a share from 0 to 1; got {self.overlap}")


@dataclass(frozen=True, slots=True)
class KindRobustness:
    """One kind of rewording over all queries that it changes.

    Attributes:
        kind: of rewording.
        queries: how many it changes.
        tried: how many rewordings.
        overlap: mean over queries of the mean over their rewordings.
        worst: mean over queries of their lowest overlap.
        first_kept: share of rewordings that keep the first document; mean over queries.
        loss: mean over judged queries of the mean loss of their rewordings; None without any.
        interval: of that mean, 95 %; None for fewer than two judged queries.
    """

    kind: RewordingKind
    queries: int
    tried: int
    overlap: float
    worst: float
    first_kept: float
    loss: float | None
    interval: Interval | None


@dataclass(frozen=True, slots=True, repr=False)
class RobustnessReport:
    """What rewording does to the answers of an index; it prints as a table.

    Attributes:
        queries: query id -> text.
        reworded: all that was tried, in the order of queries and kinds.
        k: how many first documents are compared.
        measure: of the loss; "" where nothing is judged.
        seed: of rewordings and of the bootstrap.

    >>> options = lw.RobustnessOptions(kinds=("negation",))
    >>> lw.measure_robustness(index, {"q": "rotate the key"}, options=options)
    kind      queries  tried  same of 10  worst  same first
    negation        1      1       1.000  1.000       1.000
    """

    queries: Mapping[str, str]
    reworded: tuple[RewordedQuery, ...]
    k: int
    measure: str
    seed: int

    def kinds(self) -> list[KindRobustness]:
        """Return what each kind that changed a query did."""
        return [self._of_kind(kind) for kind in KINDS if self._queries_of(kind)]

    def worst(self, count: int) -> list[RewordedQuery]:
        """Return the rewordings that change an answer most, one a query; no negations."""
        lowest: dict[str, RewordedQuery] = {}
        for one in sorted(self.reworded, key=lambda one: (one.overlap, -(one.loss or 0.0))):
            if one.kind != CHANGING:
                lowest.setdefault(one.query_id, one)
        return list(lowest.values())[:count]

    def to_json(self) -> dict[str, Any]:
        """Return every figure and every rewording, for JSON."""
        return {
            "queries": len(self.queries),
            "k": self.k,
            "measure": self.measure,
            "seed": self.seed,
            "kinds": [asdict(kind) for kind in self.kinds()],
            "reworded": [asdict(one) for one in self.reworded],
        }

    def __repr__(self) -> str:
        return align_columns([self.heads(), *self.rows()])

    def heads(self) -> list[str]:
        """Return the names of the columns of `rows`."""
        compared = ["kind", "queries", "tried", f"same of {self.k}", "worst", "same first"]
        return compared + ([f"{self.measure} lost", "95%"] if self.measure else [])

    def rows(self) -> Iterator[list[str]]:
        """Yield the cells of each kind."""
        for kind in self.kinds():
            shares = (f"{share:.3f}" for share in (kind.overlap, kind.worst, kind.first_kept))
            cells = [kind.kind, f"{kind.queries:,}", f"{kind.tried:,}", *shares]
            if self.measure:
                loss, span = kind.loss, kind.interval
                cells.append("" if loss is None else f"{loss:+.4f}")
                cells.append("" if span is None else f"{span.low:+.4f} to {span.high:+.4f}")
            yield cells

    def _queries_of(self, kind: RewordingKind) -> dict[str, list[RewordedQuery]]:
        by_query: dict[str, list[RewordedQuery]] = {}
        for one in self.reworded:
            if one.kind == kind:
                by_query.setdefault(one.query_id, []).append(one)
        return by_query

    def _of_kind(self, kind: RewordingKind) -> KindRobustness:
        by_query = self._queries_of(kind)
        means = [fmean(one.overlap for one in tried) for tried in by_query.values()]
        losses = [
            fmean(one.loss for one in tried if one.loss is not None)
            for tried in by_query.values()
            if tried[0].loss is not None
        ]
        generator = np.random.default_rng(self.seed)
        return KindRobustness(
            kind=kind,
            queries=len(by_query),
            tried=sum(len(tried) for tried in by_query.values()),
            overlap=fmean(means),
            worst=fmean(min(one.overlap for one in tried) for tried in by_query.values()),
            first_kept=fmean(fmean(one.first_kept for one in tried) for tried in by_query.values()),
            loss=fmean(losses) if losses else None,
            interval=mean_interval([np.array(losses)], generator) if losses else None,
        )
