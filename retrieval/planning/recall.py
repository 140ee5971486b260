"""How well FAISS factories would search an index: measured on some of its own rows."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from embedder.types import Representation
from index.channels.recall import RecallFigure, RecallTrial
from index.folder import Index

TARGET = 0.95


@dataclass(frozen=True, slots=True)
class RecallOptions:
    """What recall is measured on.

    Attributes:
        k: rows that a query wants.
        rows: of the index that are searched, at most; fewer are easier to find.
        queries: rows that stand for queries, and are not searched, where none are given; at most
            a quarter of all.
        seed: of which rows are drawn.
    """

    k: int = 10
    rows: int = 100_000
    queries: int = 200
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.k, self.rows, self.queries) < 1:
            raise ValueError(
                f"k, rows and queries are at least 1; got {self.k}, {self.rows}, {self.queries}"
            )


@dataclass(frozen=True, slots=True)
class RecallReport:
    """What was measured.

    Attributes:
        channel: name of it.
        rows: rows that were searched.
        total: live rows of the channel.
        queries: how many there were.
        drawn: whether rows of the index stood for queries.
        k: rows that a query wants.
        figures: exact search first, then each factory as an index searches it, then otherwise.
    """

    channel: str
    rows: int
    total: int
    queries: int
    drawn: bool
    k: int
    figures: tuple[RecallFigure, ...]

    @property
    def advice(self) -> str:
        """What to take, in a sentence."""
        own = [each for each in self.figures[1:] if each.own]
        enough = [each for each in own if each.recall >= TARGET]
        if enough:
            best = max(enough, key=lambda each: each.queries_per_second)
            return f"{best.factory} finds {best.recall:.3f}, as an index searches it by itself."
        better = [each for each in self.figures[1:] if each.recall >= TARGET]
        if better:
            best = max(better, key=lambda each: each.queries_per_second)
            return (
                f"{best.factory} needs {best.setting} for {TARGET}, and an index takes less by "
                "itself: use ,RFlat, HNSW32 or Flat."
            )
        return (
            f"No setting reaches {TARGET}: use ,RFlat, which scores more candidates exactly, "
            "HNSW32, or Flat with --dense-dtype int8."
        )

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self) | {"advice": self.advice}


def measure_recall(
    index: Index,
    factories: Sequence[str],
    channel: str = "dense",
    queries: Representation | None = None,
    options: RecallOptions | None = None,
) -> RecallReport:
    """Measure what factories would find of what exact search finds.

    Args:
        index: opened.
        factories: FAISS factory strings.
        channel: a dense one.
        queries: dense rows as the encoder of the channel gives them; None draws rows of the index.
        options: see `RecallOptions`.

    Raises:
        ValueError: the channel is not dense or has too few rows, FAISS is not installed, or a
            factory is wrong or needs more rows to train.
    """
    options = options or RecallOptions()
    rows = index.channel_rows(channel)
    if rows.spec.kind != "dense":
        raise ValueError(f"recall is measured of dense channels; {channel!r} is inverted")
    live = rows.live_rows()
    asked = min(options.queries, max(1, len(live) // 4)) if queries is None else 0
    if min(options.rows, len(live) - asked) < options.k:
        raise ValueError(
            f"channel {channel!r} has {len(live)} rows, of which {asked} stand for queries and "
            f"{max(0, min(options.rows, len(live) - asked))} are searched; k = {options.k} is more"
        )
    random = np.random.default_rng(options.seed)
    drawn = random.choice(live, min(asked + options.rows, len(live)), replace=False)
    vectors = rows.read(np.sort(drawn[asked:])).dense
    stored = rows.read(drawn[:asked]).dense if queries is None else rows.prepare(queries).dense
    assert vectors is not None and stored is not None
    trial = RecallTrial(vectors, stored, options.k)
    figures = [trial.flat()]
    for factory in factories:
        figures.extend(trial.figures(factory))
    return RecallReport(
        channel, len(vectors), len(live), len(stored), queries is None, options.k, tuple(figures)
    )
