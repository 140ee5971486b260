"""What one query found: as JSON, and as tables on the screen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Option

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
from lastword.cli.outside import outside_facts, tell_unlearnt
from lastword.cli.reranking import rerank_facts, tell_reranked
from lastword.cli.screen import Screen, duration, one_line, table
from lastword.cli.sources import unfinished_text
from lastword.commands.search.searching import SearchOptions, check_asked

if TYPE_CHECKING:
    from index.filters.facets import Facet
    from lastword.cli.tables import Table
    from lastword.engine import SearchEngine
    from lastword.hits import Hit, SearchHits
    from retrieval.rerank.reranking import Reranking

SHOWN = 10  # documents on the screen


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


@dataclass(frozen=True, slots=True)
class Answer:
    """What a query found.

    Attributes:
        hits: best first.
        facets: of the fields that were asked for.
        facts: all of it as JSON.
        nothing: why nothing may have been found, "" where no reason is known.
    """

    hits: "SearchHits"
    facets: "Sequence[Facet]"
    facts: Mapping[str, Any]
    nothing: str


def find_answer(
    engine: "SearchEngine", query: str, asking: QueryOptions, reranking: "Reranking | None"
) -> Answer:
    """Search for one query.

    Raises:
        ValueError: it is empty, or an option cannot be read.
    """
    check_asked(query)
    narrow, counted = asking.filter or None, named_fields(asking.facet)
    hits = engine.search(query, asking.k or SHOWN, asking.feedback, rerank=reranking, filter=narrow)
    facets = engine.facets(counted, narrow, hits) if counted else []
    unfinished = unfinished_text(engine.retriever.index)
    facts = {
        "query": query,
        "channels": list(hits.channels),
        "fusion": engine.fusion if len(hits.channels) > 1 else None,
        "unfinished": bool(unfinished),
        "hits": [_hit_facts(hit) for hit in hits],
        **facet_facts(facets),
        "seconds": hits.seconds,
        **chosen_facts(engine, asking),
        **rerank_facts(reranking),
    }
    return Answer(hits, facets, facts, unfinished or _terms_text(engine))


def show_answer(
    answer: Answer, asking: QueryOptions, reranking: "Reranking | None", screen: Screen
) -> None:
    """Give an answer as a result."""
    hits, tables = answer.hits, facet_tables(answer.facets, hits=True)
    if not hits:
        nothing = f"Nothing found: {answer.nothing}." if answer.nothing else "Nothing found."
        screen.result(answer.facts, nothing, *tables)
        tell_facets(answer.facets, screen)
        return
    screen.result(answer.facts, _hits_table(hits, named_fields(asking.show)), *tables)
    tell_facets(answer.facets, screen)
    screen.remark(", ".join(f"{step} {duration(spent)}" for step, spent in hits.seconds.items()))
    tell_reranked(reranking, screen)


def tell_of_answer(
    engine: "SearchEngine", answer: Answer, asking: QueryOptions, screen: Screen
) -> None:
    """Say what of a query was not searched for, and what is shown of no hit."""
    tell_overlooked(engine, [answer.hits.query], asking, screen)
    shown = [hit.metadata for hit in answer.hits]
    tell_missing(engine.retriever.index, named_fields(asking.show), shown, screen)


def tell_overlooked(
    engine: "SearchEngine", queries: Sequence[str], asking: QueryOptions, screen: Screen
) -> None:
    """Say what of queries was not searched for."""
    tell_unexpanded(engine.retriever.unexpanded, screen)
    tell_unlearnt(asking.feedback, outside_facts(engine.retriever.outside), screen)
    _say_what_is_overlooked(engine, queries, screen)


def chosen_facts(engine: "SearchEngine", asking: QueryOptions) -> dict[str, Any]:
    """Return how was searched, where that was chosen, as JSON."""
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
