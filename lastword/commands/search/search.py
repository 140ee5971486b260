"""The command that searches an index."""

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Typer

from lastword.cli.command import command
from lastword.cli.filters import named_fields
from lastword.cli.options import IndexPath, Output
from lastword.cli.parse import typed_text
from lastword.cli.reranking import (
    RerankOptions,
    check_reranking,
    load_reranking,
    rerank_facts,
    tell_reranked,
)
from lastword.cli.screen import Screen, counted
from lastword.cli.sources import check_folder_of, tell_escaped
from lastword.commands.search.answers import (
    QueryOptions,
    chosen_facts,
    find_answer,
    show_answer,
    tell_of_answer,
    tell_overlooked,
)
from lastword.commands.search.piped import answer_lines
from lastword.commands.search.searching import RUN_DEPTH, check_asked, open_searched
from lastword.commands.search.terminal import ask_at_terminal

if TYPE_CHECKING:
    from retrieval.run import Run

app = Typer()

TOGETHER = 256  # queries of a file that are answered at a time


@command(
    app,
    [
        'lastword search my.index "how do I rotate a key"',
        'lastword search my.index "rotate a key" -k 3 --channels bm25 --json',
        'lastword search my.index "rotate a key" --feedback rm3',
        'lastword search my.index "rotate a key" --filter \'year >= 2020 and "it" in tags\'',
        'lastword search my.index "rotate a key" --facet lang --show year,lang',
        'lastword search my.index "rotate a key" --also lucene:path/to/lucene-index',
        "lastword search my.index --queries queries.jsonl --run out.trec",
        "lastword search my.index --queries nanobeir/scifact --run out.trec",
        'lastword search my.index "rotate a key" --rerank prompt --rerank-depth 20',
        "lastword search my.index",
        'lastword search milvus:http://localhost:19530/docs "rotate a key"',
        "lastword search my.index --json < queries.txt",
    ],
)
def search(
    path: IndexPath,
    asking: QueryOptions,
    again: RerankOptions,
    output: Output,
    query: Annotated[
        str | None,
        Argument(metavar="QUERY", help="What to search for.", callback=typed_text("the query")),
    ] = None,
) -> None:
    """Search an index for one query, for a file of queries, or for one after the other.

    Without a query, a terminal gets a prompt: type queries, or :help for what else it takes, such
    as :explain 2 and :open 2. A pipe is read line by line, a query on each, and answered at once.
    The model is loaded once.
    """
    check_reranking(again)
    if asking.queries is not None and asking.run is not None and query is None:
        _search_file(path, asking, again, Screen(output))
    elif asking.queries is not None or asking.run is not None:
        raise ValueError('search takes either "a query" or both of --queries FILE --run OUT.trec')
    elif query is not None:
        _search_one(path, query, asking, again, Screen(output))
    elif sys.stdin.isatty() and sys.stdout.isatty():
        ask_at_terminal(path, asking, again, output)
    else:
        answer_lines(path, asking, again, output)


def _search_one(
    path: Path, query: str, asking: QueryOptions, again: RerankOptions, screen: Screen
) -> None:
    check_asked(query)
    named_fields([*(asking.show or ()), *(asking.facet or ())])
    with open_searched(path, asking, screen) as engine:
        reranking = load_reranking(again, engine.encoders, asking, screen)
        answer = find_answer(engine, query, asking, reranking)
        tell_of_answer(engine, answer, asking, screen)
    show_answer(answer, asking, reranking, screen)


def _search_file(path: Path, asking: QueryOptions, again: RerankOptions, screen: Screen) -> None:
    from embedder.progress import windows
    from eval.data.asked import load_queries
    from retrieval.run import write_trec

    assert asking.queries is not None and asking.run is not None
    if asking.facet or asking.show:
        raise ValueError("--facet and --show go with one query; lastword list counts without one")
    check_folder_of(asking.run)
    queries = load_queries(asking.queries)
    pairs = list(queries.items())
    run: Run = {}
    with open_searched(path, asking, screen, light=False) as engine:
        reranking = load_reranking(again, engine.encoders, asking, screen)
        ask = partial(
            engine.search_many,
            feedback=asking.feedback,
            rerank=reranking,
            filter=asking.filter or None,
        )
        # Of a query that is reranked documents are read too, which takes most of the time.
        each, unit = (1 + reranking.depth, "texts") if reranking else (1, "queries")
        with screen.progress("Searching", len(pairs) * each, unit) as advance:
            for window in windows(len(pairs) * each, TOGETHER * each, advance):
                batch = pairs[window.start // each : window.stop // each]
                run |= ask(dict(batch), asking.k or RUN_DEPTH)
        chosen = chosen_facts(engine, asking)
        tell_overlooked(engine, list(queries.values()), asking, screen)
    escaped = write_trec(run, asking.run)
    unanswered = sum(not scores for scores in run.values())
    data = {"run": str(asking.run), "queries": len(run), "unanswered": unanswered, **chosen}
    screen.result(data | rerank_facts(reranking))
    screen.remark(f"{asking.run}: {counted(len(run), 'query')}, {unanswered} without an answer.")
    tell_reranked(reranking, screen)
    tell_escaped(escaped, asking.run, screen)
