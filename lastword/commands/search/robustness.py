"""The command that rewords queries and compares the answers: robustness."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Option, Typer

from embedder.files.name_lists import split_names
from eval.robustness.rewordings import KINDS
from lastword.cli.command import command
from lastword.cli.options import IndexPath, Output, QueriesFile
from lastword.cli.screen import Screen, table
from lastword.commands.search.searching import SearchOptions, open_searched

if TYPE_CHECKING:
    from eval.robustness.measure import RobustnessOptions
    from eval.robustness.report import RobustnessReport
    from eval.robustness.rewordings import RewordingKind

app = Typer()

_KINDS = ", ".join(KINDS)


@dataclass(frozen=True, slots=True)
class RewordingOptions:
    """Which queries, how they are reworded, and what of the answers is compared."""

    queries: QueriesFile = None
    qrels: Annotated[
        Path | None,
        Option(help="Their judgements, for the loss: TREC, BEIR .tsv or a data set by name."),
    ] = None
    kinds: Annotated[
        str, Option(help=f"Of rewording: {_KINDS}. By default all.", show_default=False)
    ] = _KINDS
    tries: Annotated[int, Option(min=1, help="Most rewordings of a query by each kind.")] = 5
    k: Annotated[int, Option("--top-k", "-k", min=1, help="Documents that are compared.")] = 10
    measure: Annotated[str, Option(help="Whose loss is told, e.g. nDCG@10, AP.")] = "nDCG@10"
    synonyms: Annotated[
        Path | None,
        Option(
            metavar="FILE",
            help="In place of the English ones that come along: on each line words or phrases "
            "that stand for each other, parted by tabs.",
        ),
    ] = None
    show: Annotated[
        int, Option(min=0, help="How many of the rewordings that change most are shown.")
    ] = 10
    seed: Annotated[int, Option(min=0, help="Of rewordings and intervals.")] = 0


@command(
    app,
    [
        "lastword robustness my.index --queries queries.jsonl",
        "lastword robustness my.index --queries q.jsonl --qrels test.tsv --show 30",
        "lastword robustness my.index --queries q.jsonl --kinds typing,order --channels dense",
        "lastword robustness my.index --queries q.jsonl --synonyms mine.tsv --json",
    ],
)
def robustness(
    path: IndexPath, rewording: RewordingOptions, searching: SearchOptions, output: Output
) -> None:
    """Reword queries, and tell how much of their answers stays.

    By rule: a typing error, the words in another order, capitals, a synonym, and the negation,
    where another answer is right. The same seed gives the same rewordings.
    """
    from eval.data.asked import load_qrels, load_queries
    from eval.robustness.measure import count_searches, measure_robustness

    if rewording.queries is None:
        raise ValueError("give --queries, a file of the queries that are to be reworded")
    screen = Screen(output)
    options = _read_options(rewording)
    queries = load_queries(rewording.queries)
    qrels = load_qrels(rewording.qrels) if rewording.qrels else None
    total = count_searches(queries, options)
    with (
        open_searched(path, searching, screen, light=False) as engine,
        screen.progress("Searching", total, "queries") as advance,
    ):
        search = partial(
            engine.search_many, feedback=searching.feedback, filter=searching.filter or None
        )
        report = measure_robustness(search, queries, qrels, options, advance)
    _show(report, rewording.show, screen)
    _tell(report, options.kinds, screen)


def _read_options(rewording: RewordingOptions) -> "RobustnessOptions":
    from eval.robustness.measure import RobustnessOptions, check_kinds
    from eval.robustness.rewordings import read_groups

    options = RobustnessOptions(
        check_kinds(split_names(rewording.kinds)),
        rewording.tries,
        rewording.k,
        rewording.measure,
        rewording.seed,
    )
    if rewording.synonyms is None:
        return options
    return replace(options, synonyms=read_groups(rewording.synonyms))


def _show(report: "RobustnessReport", count: int, screen: Screen) -> None:
    kind, *numbers = report.heads()
    columns = [kind, *(f">{name}" for name in numbers)]
    worst = report.worst(count)
    rows = [
        [one.query_id, one.kind, f"{one.overlap:.2f}", report.queries[one.query_id], one.text]
        for one in worst
    ]
    changed = table(
        "query", "kind", f">same of {report.k}", "as asked", "as reworded",
        rows=rows, texts=("as asked", "as reworded"),
    )  # fmt: skip
    shown = [table(*columns, rows=list(report.rows())), *([changed] if rows else [])]
    screen.result(report.to_json(), *shown)


def _tell(report: "RobustnessReport", asked: "Sequence[RewordingKind]", screen: Screen) -> None:
    from eval.robustness.report import CHANGING

    changing = [one.kind for one in report.kinds()]
    if unchanged := [kind for kind in asked if kind not in changing]:
        screen.remark(f"No query was changed by: {', '.join(unchanged)}.")
    if CHANGING in changing:
        screen.remark("A negation asks for something else: what stays the same was not understood.")
