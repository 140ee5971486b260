"""The commands that search an index and explain what was found."""

import shlex
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Option, Typer

from embedder.files.name_lists import split_names
from lastword.cli.command import command
from lastword.cli.options import AUTO, FUSION_HELP, DeviceOptions, IndexPath, Output, Pieces
from lastword.cli.parse import typed_text
from lastword.cli.screen import Screen, counted, duration, one_line, table, visible
from lastword.cli.sources import check_folder_of, tell_escaped

if TYPE_CHECKING:
    from index.folder import Index
    from lastword.cli.tables import Table
    from retrieval.explain import Explanation
    from retrieval.retriever import Retriever, SearchResult
    from retrieval.run import Run

app = Typer()

SHOWN = 10  # documents on the screen
RUN_DEPTH = 1000  # documents per query in a run file, as in TREC
TOGETHER = 256  # queries of a file that are answered at a time
ONLY = "query"  # id of the query that was typed


@dataclass(frozen=True, slots=True)
class SearchOptions(DeviceOptions):
    """Which channels answer, where their models run, and how their answers become one."""

    channels: Annotated[
        str, Option(help="Some of the index's channels, e.g. dense,bm25. By default all.")
    ] = ""
    fusion: Annotated[
        str,
        Option(help=f"{FUSION_HELP} What `lastword fuse --into` chose for the index comes first."),
    ] = AUTO
    depth: Annotated[
        int, Option(min=1, help="Documents that each channel contributes to the fusion.")
    ] = RUN_DEPTH


@dataclass(frozen=True, slots=True)
class QueryOptions(SearchOptions):
    """How much is answered, and perhaps a file of queries instead of one."""

    k: Annotated[
        int,
        Option("--top-k", "-k", min=0, help="Documents per query; 0 means 10, or 1000 for --run."),
    ] = 0
    queries: Annotated[
        Path | None,
        Option(help="Instead of one query: a .jsonl (_id, text) or .tsv (id, tab, text) file."),
    ] = None
    run: Annotated[
        Path | None, Option(metavar="OUT.trec", help="Where the TREC run of --queries goes.")
    ] = None


@command(
    app,
    [
        'lastword search my.index "how do I rotate a key"',
        'lastword search my.index "rotate a key" -k 3 --channels bm25 --json',
        "lastword search my.index --queries queries.jsonl --run out.trec",
    ],
)
def search(
    path: IndexPath,
    asking: QueryOptions,
    output: Output,
    query: Annotated[
        str | None,
        Argument(metavar="QUERY", help="What to search for.", callback=typed_text("the query")),
    ] = None,
) -> None:
    """Search an index for one query, or for a file of queries."""
    if asking.queries is None and asking.run is None and query is not None:
        _search_one(path, query, asking, Screen(output))
    elif asking.queries is not None and asking.run is not None and query is None:
        _search_file(path, asking, Screen(output))
    else:
        raise ValueError('search takes either "a query" or both of --queries FILE --run OUT.trec')


@command(app, ['lastword explain my.index "rotate a key" manual/keys.md'])
def explain(
    path: IndexPath,
    query: Annotated[
        str,
        Argument(metavar="QUERY", help="What was searched for.", callback=typed_text("the query")),
    ],
    document_id: Annotated[
        str,
        Argument(metavar="DOCUMENT_ID", help="What was found.", callback=typed_text("the id")),
    ],
    fusing: SearchOptions,
    output: Output,
    pieces: Pieces = False,
) -> None:
    """Show which words, in which channel, brought a document its score.

    A word's part is the sum of what its pieces add, so that the words add up to the score.
    """
    _check_query(query)
    screen = Screen(output)
    with opened(path, fusing, screen) as retriever:
        told = retriever.explain(query, document_id, pieces=pieces)
        dense = {name for name, spec in retriever.index.channels.items() if spec.kind == "dense"}
    data = {
        "query": query,
        "document": asdict(told.document),
        "score": told.score,
        "channels": [asdict(part) for part in told.channels],
    }
    heading = f"{visible(document_id)}: {told.score:.4f} for {query!r}"
    screen.result(data, heading, one_line(told.document.content, 300), _parts_table(told, dense))


@contextmanager
def opened(path: Path, fusing: SearchOptions, screen: Screen) -> "Iterator[Retriever]":
    """Open an index and make the encoders of the channels that are asked."""
    from retrieval.open import open_retriever

    names = split_names(fusing.channels)
    with ExitStack() as stack:
        with screen.loading(fusing.channels), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".* is not finished")  # it is said below
            opening = open_retriever(path, names, fusing.fusion, fusing.depth, fusing)
            retriever = stack.enter_context(opening)
        if said := unfinished_text(retriever.index):
            screen.remark(f"{said}.")
        yield retriever


def unfinished_text(index: "Index") -> str:
    """Say what was interrupted, with the command that finishes it; "" where nothing was."""
    work = index.unfinished
    if work is None:
        return ""
    path = shlex.quote(str(index.path))
    again = f"index SOURCE -o {path}" if work.kind == "build" else f"add {path} SOURCE"
    documents = counted(index.documents, "document")
    return (
        f"{index.path} is not finished: {documents} can be found so far; give the command of the "
        f"interrupted {work.kind} again, lastword {again}"
    )


def answer_rows(answer: "SearchResult", query_id: str, documents: "Index") -> list[dict[str, Any]]:
    """List what one query found: rank, id, score, title, text and the rank in every channel."""
    from retrieval.run import ranked

    places = {
        name: {found: at for at, (found, _) in enumerate(ranked(run[query_id]), start=1)}
        for name, run in answer.channels.items()
    }
    rows = []
    for rank, (document_id, score) in enumerate(ranked(answer.run[query_id]), start=1):
        document = documents.document(document_id)
        channels = {
            name: {"rank": places[name][document_id], "score": run[query_id][document_id]}
            for name, run in answer.channels.items()
            if document_id in run[query_id]
        }
        facts = {"rank": rank, "id": document_id, "score": score, "channels": channels}
        rows.append(facts | {"title": document.title, "text": document.text})
    return rows


def answer_table(rows: Sequence[Mapping[str, Any]], channels: Sequence[str]) -> "Table":
    """Lay out what one query found, with the rank that each channel gave."""
    several = list(channels) if len(channels) > 1 else []
    ranks = [f">{name}" for name in several]
    return table(
        *(">#", ">score", *ranks, "id", "text"),
        rows=[
            (
                str(row["rank"]),
                f"{row['score']:.4f}",
                *(str(row["channels"].get(name, {}).get("rank", "-")) for name in several),
                row["id"],
                one_line(f"{row['title']} {row['text']}"),
            )
            for row in rows
        ],
        texts=["text"],
        spare=ranks,
    )


def _search_one(path: Path, query: str, asking: QueryOptions, screen: Screen) -> None:
    _check_query(query)
    with opened(path, asking, screen) as retriever:
        answer = retriever.answer({ONLY: query}, asking.k or SHOWN)
        rows = answer_rows(answer, ONLY, retriever.index)
        channels = list(answer.channels)
        _say_what_is_overlooked(retriever, [query], screen)
        unfinished = unfinished_text(retriever.index)
    data = {
        "query": query,
        "channels": channels,
        "fusion": retriever.fusion if len(channels) > 1 else None,
        "unfinished": bool(unfinished),
        "hits": rows,
        "seconds": answer.seconds,
    }
    if not rows:
        screen.result(data, f"Nothing found: {unfinished}." if unfinished else "Nothing found.")
        return
    screen.result(data, answer_table(rows, channels))
    took = ", ".join(f"{what} {duration(spent)}" for what, spent in answer.seconds.items())
    screen.remark(took)


def _search_file(path: Path, asking: QueryOptions, screen: Screen) -> None:
    from embedder.progress import added, watching
    from eval.data.queries import read_queries
    from retrieval.run import write_trec

    assert asking.queries is not None and asking.run is not None
    check_folder_of(asking.run)
    queries = read_queries(asking.queries)
    ids = list(queries)
    run: Run = {}
    with (
        opened(path, asking, screen) as retriever,
        screen.progress("Searching", len(ids), "queries") as advance,
    ):
        for start in range(0, len(ids), TOGETHER):
            some = {query_id: queries[query_id] for query_id in ids[start : start + TOGETHER]}
            with watching(partial(added, advance, start), len(some)):
                run |= retriever.search(some, asking.k or RUN_DEPTH)
            advance(start + len(some))
        _say_what_is_overlooked(retriever, list(queries.values()), screen)
    escaped = write_trec(run, asking.run)
    unanswered = sum(not found for found in run.values())
    screen.result({"run": str(asking.run), "queries": len(run), "unanswered": unanswered})
    screen.remark(f"{asking.run}: {counted(len(run), 'query')}, {unanswered} without an answer.")
    tell_escaped(escaped, asking.run, screen)


def _say_what_is_overlooked(retriever: "Retriever", texts: Sequence[str], screen: Screen) -> None:
    """Say so where an old index has no terms for what stands in a query."""
    from embedder.encoders.bm25 import BM25Encoder

    old = [one for one in retriever.encoders.values() if isinstance(one, BM25Encoder)]
    if any(one.overlooks(texts) for one in old):
        screen.remark(
            f"{retriever.index.path} was made before bm25 knew emoji and the syllables of Korean "
            "words, and does not find them; lastword index makes one that does."
        )


def _check_query(query: str) -> None:
    if not query.strip():
        raise ValueError('the query is empty; give some words, e.g. "how do I rotate a key"')


def _parts_table(told: "Explanation", dense: set[str]) -> "Table":
    return table(
        *("channel", ">score", ">rank", ">share", "words"),
        rows=[
            (
                part.name,
                f"{part.score:.4f}",
                "-" if part.rank is None else str(part.rank),
                f"{part.share:.4f}",
                ", ".join(f"{word} {weight:.2f}" for word, weight in part.words)
                or (
                    "(a dense vector has no words)" if part.name in dense else "(no word in common)"
                ),
            )
            for part in told.channels
        ],
    )
