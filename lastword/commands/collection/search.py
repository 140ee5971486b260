"""The command that searches an index."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Option, Typer

from lastword.cli.command import command
from lastword.cli.feedback import tell_unexpanded
from lastword.cli.filters import (
    FacetNames,
    ShownFields,
    facet_facts,
    facet_tables,
    field_cells,
    filter_facts,
    named_fields,
    tell_facets,
    tell_missing,
)
from lastword.cli.options import IndexPath, Output
from lastword.cli.outside import outside_facts, tell_unlearnt
from lastword.cli.parse import typed_text
from lastword.cli.reranking import (
    RerankOptions,
    check_reranking,
    load_reranking,
    rerank_facts,
    tell_reranked,
)
from lastword.cli.screen import Screen, counted, duration, one_line, table
from lastword.cli.sources import check_folder_of, tell_escaped
from lastword.commands.collection.searching import (
    RUN_DEPTH,
    SearchOptions,
    check_asked,
    open_searched,
    unfinished_text,
)

if TYPE_CHECKING:
    from lastword.cli.tables import Table
    from lastword.engine import SearchEngine
    from lastword.hits import Hit, SearchHits
    from retrieval.run import Run

app = Typer()

SHOWN = 10  # documents on the screen
TOGETHER = 256  # queries of a file that are answered at a time


@dataclass(frozen=True, slots=True)
class QueryOptions(SearchOptions):
    """How much is answered, and perhaps a file of queries instead of one."""

    k: Annotated[
        int,
        Option("--top-k", "-k", min=0, help="Documents per query; 0 means 10, or 1000 for --run."),
    ] = 0
    queries: Annotated[
        Path | None,
        Option(
            help="Instead of one query: a .jsonl (_id, text) or .tsv (id, tab, text) file, or the "
            "judged queries of a data set by name, e.g. ir:ID."
        ),
    ] = None
    run: Annotated[
        Path | None, Option(metavar="OUT.trec", help="Where the TREC run of --queries goes.")
    ] = None
    facet: FacetNames = None
    show: ShownFields = None


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
    """Search an index for one query, or for a file of queries."""
    check_reranking(again)
    if asking.queries is None and asking.run is None and query is not None:
        _search_one(path, query, asking, again, Screen(output))
    elif asking.queries is not None and asking.run is not None and query is None:
        _search_file(path, asking, again, Screen(output))
    else:
        raise ValueError('search takes either "a query" or both of --queries FILE --run OUT.trec')


def _search_one(
    path: Path, query: str, asking: QueryOptions, again: RerankOptions, screen: Screen
) -> None:
    check_asked(query)
    fields, counted_fields = named_fields(asking.show), named_fields(asking.facet)
    with open_searched(path, asking, screen) as engine:
        reranking = load_reranking(again, engine.encoders, asking, screen)
        k, narrow = asking.k or SHOWN, asking.filter or None
        hits = engine.search(query, k, asking.feedback, rerank=reranking, filter=narrow)
        facets = engine.facets(counted_fields, narrow, hits) if counted_fields else []
        chosen = _chosen_facts(engine, asking)
        tell_unexpanded(engine.retriever.unexpanded, screen)
        tell_unlearnt(asking.feedback, chosen, screen)
        _say_what_is_overlooked(engine, [query], screen)
        tell_missing(engine.retriever.index, fields, [hit.metadata for hit in hits], screen)
        unfinished = unfinished_text(engine.retriever.index)
        reason = unfinished or _terms_text(engine)
    data = {
        "query": query,
        "channels": list(hits.channels),
        "fusion": engine.fusion if len(hits.channels) > 1 else None,
        "unfinished": bool(unfinished),
        "hits": [_hit_facts(hit) for hit in hits],
        **facet_facts(facets),
        "seconds": hits.seconds,
        **chosen,
        **rerank_facts(reranking),
    }
    if not hits:
        nothing = f"Nothing found: {reason}." if reason else "Nothing found."
        screen.result(data, nothing, *facet_tables(facets, hits=True))
        tell_facets(facets, screen)
        return
    screen.result(data, _hits_table(hits, fields), *facet_tables(facets, hits=True))
    tell_facets(facets, screen)
    screen.remark(", ".join(f"{step} {duration(spent)}" for step, spent in hits.seconds.items()))
    tell_reranked(reranking, screen)


def _chosen_facts(engine: "SearchEngine", asking: QueryOptions) -> dict[str, Any]:
    also = outside_facts(engine.retriever.outside)
    learnt = {"feedback": asking.feedback, "unexpanded": dict(engine.retriever.unexpanded)}
    return also | (learnt if asking.feedback else {}) | _filter_facts(engine, asking.filter)


def _filter_facts(engine: "SearchEngine", text: str) -> dict[str, Any]:
    from index.filters.kept import KeptDocuments

    return filter_facts(KeptDocuments.of(engine.retriever.index, text) if text else None)


def _hit_facts(hit: "Hit") -> dict[str, Any]:
    return {
        "rank": hit.rank,
        "id": hit.id,
        "score": hit.score,
        "channels": {name: place._asdict() for name, place in hit.channels.items()},
        "title": hit.title,
        "text": hit.text,
        "passage": {
            "start": hit.passage.start,
            "end": hit.passage.end,
            "page": hit.passage.page,
            "text": hit.passage.text,
            "matches": hit.passage.matches,
        },
        "metadata": hit.metadata,
        **({"first": hit.first._asdict()} if hit.first else {}),
    }


def _hits_table(hits: "SearchHits", fields: Sequence[str]) -> "Table":
    """Lay out what one query found, with the rank that each channel gave, and some metadata."""
    from lastword.hit_passages import show_passage

    channels = hits.channels if len(hits.channels) > 1 else ()
    rows = []
    for hit in hits:
        places = (hit.channels.get(name) for name in channels)
        ranks = ["-" if place is None else str(place.rank) for place in places]
        ranks = [str(hit.first.rank), *ranks] if hit.first else ranks
        text = one_line(show_passage(hit.document, hit.passage))
        cells = (hit.id, *field_cells(hit.metadata, fields), text)
        rows.append((str(hit.rank), f"{hit.score:.4f}", *ranks, *cells))
    marked = hits[0].passage.find_matches
    ranks = [f">{name}" for name in (*(["first"] if hits[0].first else []), *channels)]
    columns = (">#", ">score", *ranks, "id", *fields, "text")
    return table(*columns, rows=rows, texts=["text"], spare=ranks, marked=marked)


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
    with open_searched(path, asking, screen) as engine:
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
        chosen = _chosen_facts(engine, asking)
        tell_unexpanded(engine.retriever.unexpanded, screen)
        tell_unlearnt(asking.feedback, chosen, screen)
        _say_what_is_overlooked(engine, list(queries.values()), screen)
    escaped = write_trec(run, asking.run)
    unanswered = sum(not scores for scores in run.values())
    data = {"run": str(asking.run), "queries": len(run), "unanswered": unanswered, **chosen}
    screen.result(data | rerank_facts(reranking))
    screen.remark(f"{asking.run}: {counted(len(run), 'query')}, {unanswered} without an answer.")
    tell_reranked(reranking, screen)
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


def _terms_text(engine: "SearchEngine") -> str:
    """Say which channels are searched by terms of another program, not by texts; "" where none."""
    from embedder.encoders.bm25 import WHITESPACE
    from embedder.encoders.specs import BM25Spec, specs_of

    specs = specs_of(engine.encoders).items()
    of_terms = [
        name for name, spec in specs if isinstance(spec, BM25Spec) and spec.language == WHITESPACE
    ]
    if not of_terms:
        return ""
    return (
        f"{' and '.join(of_terms)} is searched by terms as they were imported, with spaces "
        "between; lastword import with --model or --language makes an index of texts"
    )
