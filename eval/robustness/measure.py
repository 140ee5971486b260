"""Search for queries and their rewordings, and compare the answers.

After SAGE (Liu et al., "Discovering Failure Modes of Text-guided Diffusion Models via Adversarial
Search", ICLR 2024): inputs that people take for the same are searched for those on which a model
fails. Here they are drawn by rule, and the worst of each query is kept.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from embedder.arguments import check_count, check_fields
from eval.data.qrels import Qrels
from eval.measures.measures import check_measure, evaluate
from eval.robustness.report import RewordedQuery, RobustnessReport
from eval.robustness.rewordings import (
    KINDS,
    Groups,
    RewordingKind,
    check_groups,
    own_synonyms,
    reword,
)
from retrieval.run import Run, ranked

SearchQueries = Callable[[Mapping[str, str], int], Run]
"""Query id -> text, and how many documents at most -> a run."""

_JUDGED_DEPTH = 1000  # documents that a measure may ask for
_TOGETHER = 256


def check_kinds(names: Sequence[str]) -> tuple[RewordingKind, ...]:
    """Return kinds of rewording by their names.

    Raises:
        ValueError: there is no such kind, or none is named.
    """
    kinds = tuple(kind for kind in KINDS if kind in names)
    if unknown := [name for name in names if name not in KINDS]:
        raise ValueError(f"a kind of rewording is one of {', '.join(KINDS)}; got {unknown[0]!r}")
    if not kinds:
        raise ValueError(f"name at least one kind of {', '.join(KINDS)}")
    return kinds


@dataclass(frozen=True, slots=True)
class RobustnessOptions:
    """How queries are reworded, and how answers are compared.

    Attributes:
        kinds: of rewording.
        tries: most rewordings of a query by each kind.
        k: how many first documents are compared.
        measure: whose loss is told where queries are judged.
        seed: of what is drawn.
        synonyms: groups of words that stand for each other; by default English ones.

    >>> lw.RobustnessOptions(kinds=("typing", "order"), tries=3).k
    10
    """

    kinds: tuple[RewordingKind, ...] = KINDS
    tries: int = 5
    k: int = 10
    measure: str = "nDCG@10"
    seed: int = 0
    synonyms: Groups = field(default_factory=own_synonyms)

    def __post_init__(self) -> None:
        check_fields(self)
        for name in ("tries", "k"):
            check_count(getattr(self, name), name, 1)
        check_kinds(self.kinds)
        check_measure(self.measure)
        object.__setattr__(self, "synonyms", check_groups(self.synonyms))


@dataclass(frozen=True, slots=True)
class _Variant:
    """A rewording that is to be searched for, under an id of its own."""

    id: str
    query_id: str
    kind: RewordingKind
    text: str


def measure_robustness(
    search: SearchQueries,
    queries: Mapping[str, str],
    qrels: Qrels | None = None,
    options: RobustnessOptions | None = None,
    advance: Callable[[int], None] = lambda done: None,
) -> RobustnessReport:
    """Reword queries, and tell how much of their answers stays.

    Args:
        search: of an index.
        queries: id -> text.
        qrels: judgements, of some or all of them; others are compared by their documents alone.
        options: see `RobustnessOptions`.
        advance: told of every window that has been searched for.

    Raises:
        ValueError: there are no queries, or no query of the qrels is among them.
    """
    options = options or RobustnessOptions()
    if not queries:
        raise ValueError("there are no queries to reword")
    judged = _judged(qrels, queries)
    variants = _reword_all(queries, options)
    asked = {f"q{query_id}": text for query_id, text in queries.items()}
    asked |= {one.id: one.text for one in variants}
    depth = max(options.k, _JUDGED_DEPTH if judged else 0)
    run = _search_all(search, asked, depth, advance)
    values = _values(run, judged, variants, options.measure)
    reworded = tuple(_compare(one, run, values, options.k) for one in variants)
    measure = options.measure if judged else ""
    return RobustnessReport(queries, reworded, options.k, measure, options.seed)


def count_searches(queries: Mapping[str, str], options: RobustnessOptions) -> int:
    """Return how many queries `measure_robustness` will search for."""
    return len(queries) + len(_reword_all(queries, options))


def _judged(qrels: Qrels | None, queries: Mapping[str, str]) -> Qrels:
    if qrels is None:
        return {}
    judged = {query_id: qrels[query_id] for query_id in queries if query_id in qrels}
    if not judged:
        raise ValueError(
            f"none of {len(queries):,} queries is judged, e.g. {next(iter(queries))!r}; "
            f"judgements are of {next(iter(qrels), 'nothing')!r}: are they of the same collection?"
        )
    return judged


def _reword_all(queries: Mapping[str, str], options: RobustnessOptions) -> list[_Variant]:
    drawn = (
        (query_id, kind, text)
        for query_id, asked in queries.items()
        for kind in options.kinds
        for text in reword(asked, kind, options.tries, options.seed, options.synonyms)
    )
    return [_Variant(f"v{at}", *one) for at, one in enumerate(drawn)]


def _search_all(
    search: SearchQueries, asked: Mapping[str, str], depth: int, advance: Callable[[int], None]
) -> Run:
    pairs = list(asked.items())
    run: Run = {}
    for start in range(0, len(pairs), _TOGETHER):
        run |= search(dict(pairs[start : start + _TOGETHER]), depth)
        advance(min(start + _TOGETHER, len(pairs)))
    return run


def _values(run: Run, judged: Qrels, variants: list[_Variant], measure: str) -> Mapping[str, float]:
    """Return the measure of every judged query and of its rewordings, by the ids of the search."""
    if not judged:
        return {}
    own = {f"q{query_id}": gains for query_id, gains in judged.items()}
    of_variants = {one.id: judged[one.query_id] for one in variants if one.query_id in judged}
    return evaluate(run, own | of_variants, [measure])[measure]


def _compare(variant: _Variant, run: Run, values: Mapping[str, float], k: int) -> RewordedQuery:
    before, after = (
        [document for document, _ in ranked(run[name])[:k]]
        for name in (f"q{variant.query_id}", variant.id)
    )
    both = len(set(before) & set(after))
    longest = max(len(before), len(after))
    loss = values[f"q{variant.query_id}"] - values[variant.id] if variant.id in values else None
    return RewordedQuery(
        variant.query_id,
        variant.kind,
        variant.text,
        overlap=both / longest if longest else 1.0,
        first_kept=before[:1] == after[:1],
        loss=loss,
    )
