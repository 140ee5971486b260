"""The content of a report, read from run folders: the same folders give the same value."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from embedder.progress import Progress, silent
from eval.report import plots
from eval.report.configurations import RunConfiguration, run_configuration
from eval.report.dataset import JudgedDataset, judged_datasets, names_of
from eval.report.listings import (
    Listing,
    list_costs,
    list_losses,
    list_pools,
    list_subsets,
    pool_rows,
)
from eval.report.plots import Plot
from eval.report.queries import Encoders, QueryPage, choose_queries, describe_queries
from eval.report.results import set_tables, tables_over, verdicts
from eval.report.tables import SystemTable
from eval.runs.run_folder import RunFolder

DENSE = "dense"  # the channel without words
DIFFERING = 10  # queries of a data set that are listed as the most different


@dataclass(frozen=True)
class ReportOptions:
    """What a report shows.

    Attributes:
        queries: number of queries shown with documents; of more, those that differ most.
        encoders: run folder -> channel -> encoder of its queries, for the words of channels
            other than BM25; may be empty.
        progress: called with the number of queries described.
        pieces: whether a model's words are shown as the pieces that it knows.
    """

    queries: int = 1000
    encoders: Encoders = field(default_factory=dict)
    progress: Progress = silent
    pieces: bool = False

    def __post_init__(self) -> None:
        if self.queries < 0:
            raise ValueError(f"a report shows 0 queries or more; got {self.queries}")


@dataclass(frozen=True, slots=True)
class SetFacts:
    """The facts of one data set.

    Attributes:
        name: of it.
        key: its name in ids.
        about: its size, in a sentence.
        table: of all systems and measures.
        plots: drawings.
        compared: the systems that differences are of; None where there is one only.
        queries: every judged query; nothing where nothing was searched.
        differing: those with the largest differences, the largest first.
    """

    name: str
    key: str
    about: str
    table: SystemTable
    plots: tuple[Plot, ...]
    compared: tuple[str, str] | None
    queries: tuple[QueryPage, ...]
    differing: tuple[QueryPage, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """The content of a report.

    Attributes:
        verdicts: of the tables, a sentence each.
        configurations: the configurations that were judged.
        tables: over several data sets.
        plots: over several data sets.
        sets: the data sets.
        listings: tables behind the figures.
        full: number of queries that are shown with documents.
        marked: channels whose words are marked.
        unmarked: channels that have words, whose model was not at hand.
    """

    verdicts: tuple[str, ...]
    configurations: tuple[RunConfiguration, ...]
    tables: tuple[SystemTable, ...]
    plots: tuple[Plot, ...]
    sets: tuple[SetFacts, ...]
    listings: tuple[Listing, ...]
    full: int
    marked: tuple[str, ...]
    unmarked: tuple[str, ...]

    @property
    def title(self) -> str:
        """The heading of the page."""
        names = [facts.name for facts in self.sets]
        more = f" and {len(names) - 4} more" if len(names) > 5 else ""
        return f"lastword report: {', '.join(names[:4] if more else names)}{more}"

    @property
    def queries(self) -> int:
        """Number of judged queries."""
        return sum(len(facts.queries) for facts in self.sets)

    @property
    def sides(self) -> tuple[str, ...]:
        """Names of the systems whose documents are shown side by side."""
        pages = (page for facts in self.sets for page in facts.queries)
        return tuple(dict.fromkeys(side.system for page in pages for side in page.sides))

    @property
    def drawings(self) -> tuple[Plot, ...]:
        """All drawings, those over several data sets first."""
        return (*self.plots, *(plot for facts in self.sets for plot in facts.plots))


def gather(folders: Sequence[Path], options: ReportOptions | None = None) -> Report:
    """Read run folders and gather the content of a report.

    Raises:
        ValueError: a folder is none, or is given twice.
    """
    options = options or ReportOptions()
    if not folders:
        raise ValueError("a report needs a run folder; `lastword eval ... --out` writes one")
    opened = [RunFolder.open(path) for path in folders]
    sets = judged_datasets(opened)
    configurations = [
        run_configuration(name, folder)
        for name, folder in zip(names_of(folders), opened, strict=True)
    ]
    full = choose_queries(sets, options.queries)
    facts: list[SetFacts] = []
    pooled: list[tuple[str, ...]] = []
    # A copy of each, which takes its runs along when it goes.
    for judged, table in zip(map(replace, sets), set_tables(sets), strict=True):
        before = sum(len(part.queries) for part in facts)
        pooled += pool_rows(judged)
        facts.append(_set_facts(judged, table, full, options, before))
    over = list(tables_over(sets))
    paths = map(str, folders)
    marked = _marked(facts)
    return Report(
        verdicts=tuple(verdicts(sets, over, [part.table for part in facts])),
        configurations=tuple(configurations),
        tables=tuple(over),
        plots=tuple(plots.draw_sensitivity(sets, dict(zip(paths, configurations, strict=True)))),
        sets=tuple(facts),
        listings=tuple(_listings(sets, tuple(pooled))),
        full=len(full),
        marked=tuple(marked),
        unmarked=tuple(name for name in _with_words(sets) if name not in marked),
    )


def _marked(sets: Sequence[SetFacts]) -> dict[str, None]:
    """List the channels by which words are marked, in the order of first appearance."""
    sides = (side for facts in sets for page in facts.queries for side in page.sides)
    pieces = (piece for side in sides for document in side.documents for piece in document.text)
    return dict.fromkeys(channel for piece in pieces for channel in piece.channels)


def _with_words(sets: Sequence[JudgedDataset]) -> dict[str, None]:
    """List the channels that have words."""
    records = (judged.record(system) for judged in sets for system in judged.counted)
    return dict.fromkeys(
        channel
        for record in records
        if record.benchmark == "retrieval"
        for channel in record.fingerprints
        if channel in record.values and channel != DENSE
    )


def _set_facts(
    judged: JudgedDataset, table: SystemTable, full: set[str], options: ReportOptions, before: int
) -> SetFacts:
    pages = []
    for page in (
        describe_queries(judged, full, options.encoders, options.pieces) if judged.retrieval else ()
    ):
        pages.append(page)
        options.progress(before + len(pages))
    moved = [page for page in pages if page.difference]
    moved.sort(key=lambda page: (-abs(page.difference or 0.0), page.number))
    two = judged.compared
    return SetFacts(
        name=judged.dataset,
        key=judged.key,
        about=_about(judged),
        table=table,
        plots=tuple(_plots(judged)),
        compared=(two[0].name, two[1].name) if two else None,
        queries=tuple(pages),
        differing=tuple(moved[:DIFFERING]),
    )


def _plots(judged: JudgedDataset) -> Iterator[Plot]:
    yield from plots.draw_comparison(judged)
    if judged.retrieval:
        yield from plots.draw_curves(judged)
        yield from plots.draw_fusion_weights(judged)
    yield from plots.draw_cost_quality(judged)
    if judged.retrieval:
        yield from plots.draw_spreads(judged)


def _about(judged: JudgedDataset) -> str:
    documents = judged.first.details.get("documents")
    size = f"{judged.first.size:,} {judged.noun}"
    return f"{documents:,} documents, {size}" if isinstance(documents, int) else size


def _listings(
    sets: Sequence[JudgedDataset], pooled: tuple[tuple[str, ...], ...]
) -> Iterator[Listing]:
    parts = list_subsets(sets)
    if parts is not None:
        yield parts
    yield list_losses(sets)
    if pooled:
        yield list_pools(pooled)
    yield list_costs(sets)
