"""The commands that search an index and explain what was found."""

import shlex
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Option, Typer

from embedder.files.name_lists import split_names
from lastword.cli.command import command
from lastword.cli.feedback import FeedbackText, tell_unexpanded
from lastword.cli.options import AUTO, FUSION_HELP, DeviceOptions, IndexPath, Output, Pieces
from lastword.cli.outside import Also, outside_facts, tell_joined
from lastword.cli.parse import typed_text
from lastword.cli.screen import Screen, counted, duration, one_line, table, visible
from lastword.cli.sources import check_folder_of, tell_escaped

if TYPE_CHECKING:
    from index.folder import Index
    from lastword.cli.tables import Table
    from lastword.engine import SearchEngine
    from lastword.hits import Hit, SearchHits
    from retrieval.explain import Explanation
    from retrieval.run import Run

app = Typer()

SHOWN = 10  # documents on the screen
RUN_DEPTH = 1000  # documents per query in a run file, as in TREC
TOGETHER = 256  # queries of a file that are answered at a time


@dataclass(frozen=True, slots=True)
class SearchOptions(DeviceOptions):
    """Which channels answer, where their models run, and how their answers become one."""

    channels: Annotated[
        str, Option(help="Some of the index's channels, e.g. dense,bm25. By default all.")
    ] = ""
    also: Also = None
    fusion: Annotated[
        str,
        Option(help=f"{FUSION_HELP} What `lastword fuse --into` chose for the index comes first."),
    ] = AUTO
    depth: Annotated[
        int, Option(min=1, help="Documents that each channel contributes to the fusion.")
    ] = RUN_DEPTH
    feedback: FeedbackText = ""


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
        'lastword search my.index "rotate a key" --feedback rm3',
        'lastword search my.index "rotate a key" --also lucene:path/to/lucene-index',
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


@command(
    app,
    [
        'lastword explain my.index "rotate a key" manual/keys.md',
        'lastword explain my.index "rotate a key" manual/keys.md --feedback rm3',
    ],
)
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
    with _open(path, fusing, screen) as engine:
        # A retriever can name pieces, too.
        retriever = engine.retriever.with_feedback(fusing.feedback)
        explanation = retriever.explain(query, document_id, pieces=pieces)
        specs = retriever.index.channels
        also = outside_facts(retriever.outside)
    post = {name: spec.post.digest for name, spec in specs.items() if spec.post}
    data = {
        "query": query,
        "document": asdict(explanation.document),
        "score": explanation.score,
        "channels": [asdict(part) for part in explanation.channels],
        "post": post,
        **also,
    }
    dense = {name for name, spec in specs.items() if spec.kind == "dense"}
    heading = f"{visible(document_id)}: {explanation.score:.4f} for {query!r}"
    text = one_line(explanation.document.content, 300)
    screen.result(data, heading, text, *_explained(explanation, dense))
    tell_unexpanded(retriever.unexpanded, screen)
    for name, digest in post.items():
        screen.remark(f"{name}: rows are post-processed by fit {digest} of this index.")


@contextmanager
def _open(path: Path, fusing: SearchOptions, screen: Screen) -> "Iterator[SearchEngine]":
    """Open an index with the encoders of the channels that are searched."""
    from lastword.opening import open_engine

    names = split_names(fusing.channels)
    with screen.loading(fusing.channels), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".* is not finished")  # it is said below
        also = fusing.also or ()
        engine = open_engine(path, names, fusing.fusion, fusing.depth, fusing, also=also)
    with engine:
        tell_joined(outside_facts(engine.retriever.outside), screen)
        if remark := unfinished_text(engine.retriever.index):
            screen.remark(f"{remark}.")
        yield engine


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


def _search_one(path: Path, query: str, asking: QueryOptions, screen: Screen) -> None:
    _check_query(query)
    with _open(path, asking, screen) as engine:
        hits = engine.search(query, asking.k or SHOWN, asking.feedback)
        chosen = _chosen_facts(engine, asking)
        tell_unexpanded(engine.retriever.unexpanded, screen)
        _say_what_is_overlooked(engine, [query], screen)
        unfinished = unfinished_text(engine.retriever.index)
    data = {
        "query": query,
        "channels": list(hits.channels),
        "fusion": engine.fusion if len(hits.channels) > 1 else None,
        "unfinished": bool(unfinished),
        "hits": [_hit_facts(hit) for hit in hits],
        "seconds": hits.seconds,
        **chosen,
    }
    if not hits:
        screen.result(data, f"Nothing found: {unfinished}." if unfinished else "Nothing found.")
        return
    screen.result(data, _hits_table(hits))
    screen.remark(", ".join(f"{step} {duration(spent)}" for step, spent in hits.seconds.items()))


def _chosen_facts(engine: "SearchEngine", asking: QueryOptions) -> dict[str, Any]:
    also = outside_facts(engine.retriever.outside)
    learnt = {"feedback": asking.feedback, "unexpanded": dict(engine.retriever.unexpanded)}
    return also | (learnt if asking.feedback else {})


def _hit_facts(hit: "Hit") -> dict[str, Any]:
    return {
        "rank": hit.rank,
        "id": hit.id,
        "score": hit.score,
        "channels": {name: place._asdict() for name, place in hit.channels.items()},
        "title": hit.title,
        "text": hit.text,
        "metadata": hit.metadata,
    }


def _hits_table(hits: "SearchHits") -> "Table":
    """Lay out what one query found, with the rank that each channel gave."""
    channels = hits.channels if len(hits.channels) > 1 else ()
    rows = []
    for hit in hits:
        places = (hit.channels.get(name) for name in channels)
        ranks = ["-" if place is None else str(place.rank) for place in places]
        text = one_line(hit.document.content)
        rows.append((str(hit.rank), f"{hit.score:.4f}", *ranks, hit.id, text))
    ranks = [f">{name}" for name in channels]
    return table(">#", ">score", *ranks, "id", "text", rows=rows, texts=["text"], spare=ranks)


def _search_file(path: Path, asking: QueryOptions, screen: Screen) -> None:
    from embedder.progress import windows
    from eval.data.queries import read_queries
    from retrieval.run import write_trec

    assert asking.queries is not None and asking.run is not None
    check_folder_of(asking.run)
    queries = read_queries(asking.queries)
    pairs = list(queries.items())
    run: Run = {}
    with (
        _open(path, asking, screen) as engine,
        screen.progress("Searching", len(pairs), "queries") as advance,
    ):
        for window in windows(len(pairs), TOGETHER, advance):
            run |= engine.search_many(dict(pairs[window]), asking.k or RUN_DEPTH, asking.feedback)
        chosen = _chosen_facts(engine, asking)
        tell_unexpanded(engine.retriever.unexpanded, screen)
        _say_what_is_overlooked(engine, list(queries.values()), screen)
    escaped = write_trec(run, asking.run)
    unanswered = sum(not scores for scores in run.values())
    data = {"run": str(asking.run), "queries": len(run), "unanswered": unanswered, **chosen}
    screen.result(data)
    screen.remark(f"{asking.run}: {counted(len(run), 'query')}, {unanswered} without an answer.")
    tell_escaped(escaped, asking.run, screen)


def _say_what_is_overlooked(engine: "SearchEngine", texts: Sequence[str], screen: Screen) -> None:
    """Say so where an old index has no terms for what stands in a query."""
    from embedder.encoders.bm25 import BM25Encoder

    encoders = engine.encoders.values()
    if any(encoder.overlooks(texts) for encoder in encoders if isinstance(encoder, BM25Encoder)):
        screen.remark(
            f"{engine.path} was made before bm25 knew emoji and the syllables of Korean "
            "words, and does not find them; lastword index makes one that does."
        )


def _check_query(query: str) -> None:
    if not query.strip():
        raise ValueError('the query is empty; give some words, e.g. "how do I rotate a key"')


def _explained(explanation: "Explanation", dense: set[str]) -> "list[Table]":
    """Lay out the parts of the score and, after feedback, the words that were searched for."""
    searched = [
        (part.name, ", ".join(f"{word} {weight:.3g}" for word, weight in part.query))
        for part in explanation.channels
        if part.query
    ]
    queries = [table("channel", "query after feedback", rows=searched)] if searched else []
    return [_parts_table(explanation, dense), *queries]


def _parts_table(explanation: "Explanation", dense: set[str]) -> "Table":
    rows = []
    for part in explanation.channels:
        words = ", ".join(f"{word} {weight:.2f}" for word, weight in part.words)
        silent = "(a dense vector has no words)" if part.name in dense else "(no word in common)"
        rank = "-" if part.rank is None else str(part.rank)
        rows.append((part.name, f"{part.score:.4f}", rank, f"{part.share:.4f}", words or silent))
    return table("channel", ">score", ">rank", ">share", "words", rows=rows)
