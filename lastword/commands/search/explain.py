"""The command that explains why a document was found."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Typer

from lastword.cli.command import command
from lastword.cli.feedback import tell_unexpanded
from lastword.cli.filters import filter_facts
from lastword.cli.options import IndexPath, Output, Pieces
from lastword.cli.outside import outside_facts, tell_unlearnt
from lastword.cli.parse import typed_text
from lastword.cli.reranking import RerankOptions, check_reranking, load_reranking
from lastword.cli.screen import Screen, one_line, table, visible
from lastword.commands.search.searching import SearchOptions, check_asked, open_searched

if TYPE_CHECKING:
    from lastword.cli.tables import Table
    from retrieval.explain import Explanation
    from retrieval.retriever import Retriever

app = Typer()


@command(
    app,
    [
        'lastword explain my.index "rotate a key" manual/keys.md',
        'lastword explain my.index "rotate a key" manual/keys.md --feedback rm3',
        'lastword explain my.index "rotate a key" manual/keys.md --rerank maxsim',
        "lastword explain my.index \"rotate a key\" manual/keys.md --filter 'year >= 2020'",
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
    again: RerankOptions,
    output: Output,
    pieces: Pieces = False,
) -> None:
    """Show which words, in which channel, brought a document its score.

    A word's part is the sum of what its pieces add, so that the words add up to the score.
    """
    from retrieval.rerank.reranking import explain_reranked

    check_asked(query)
    check_reranking(again)
    screen = Screen(output)
    with open_searched(path, fusing, screen) as engine:
        # A retriever can name pieces, too.
        retriever = engine.retriever.with_feedback(fusing.feedback).with_filter(fusing.filter)
        reranking = load_reranking(again, engine.encoders, fusing, screen)
        explanation = explain_reranked(retriever, query, document_id, reranking, pieces)
        show_explanation(explanation, retriever, fusing, screen)


def show_explanation(
    explanation: "Explanation", retriever: "Retriever", fusing: SearchOptions, screen: Screen
) -> None:
    """Give as a result why a retriever found a document."""
    query, document_id = explanation.query, explanation.document.id
    kept = retriever.kept is None or document_id in retriever.kept
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
        **({**filter_facts(retriever.kept), "meets_filter": kept} if fusing.filter else {}),
    }
    if explanation.reranked is not None:
        data["reranked"] = asdict(explanation.reranked)
    dense = {name for name, spec in specs.items() if spec.kind == "dense"}
    heading = f"{visible(document_id)}: {explanation.last_score:.4f} for {query!r}"
    text = one_line(explanation.best_text, 300)
    reranked = [f"Reranked by {explanation.reranked}."] if explanation.reranked else []
    screen.result(data, heading, text, *_explained(explanation, dense), *reranked)
    if not kept:
        screen.remark(f"{document_id} does not meet the filter, and is not found.")
    tell_unexpanded(retriever.unexpanded, screen)
    tell_unlearnt(fusing.feedback, also, screen)
    for part in explanation.channels:
        if part.fields:
            listed = ", ".join(f"{field} {score:.2f}" for field, score in part.fields)
            screen.remark(f"{part.name}, by field: {listed}.")
        if part.unit:
            screen.remark(f"{part.name}: scores are of {part.unit}.")
    for name, digest in post.items():
        screen.remark(f"{name}: rows are post-processed by fit {digest} of this index.")


def _explained(explanation: "Explanation", dense: set[str]) -> "list[Table]":
    """Lay out the parts of the score and, after feedback, the words that were searched for."""
    searched = [
        (
            part.name,
            *(
                ", ".join(f"{word} {weight:.3g}" for word, weight in words) or "-"
                for words in part.learnt
            ),
        )
        for part in explanation.channels
        if part.query
    ]
    columns = ("channel", "query after feedback", "added by it")
    queries = [table(*columns, rows=searched)] if searched else []
    return [_parts_table(explanation, dense), *queries]


def _parts_table(explanation: "Explanation", dense: set[str]) -> "Table":
    rows = []
    for part in explanation.channels:
        words = ", ".join(f"{word} {weight:.2f}" for word, weight in part.words)
        silent = "(a dense vector has no words)" if part.name in dense else "(no word in common)"
        rank = "-" if part.rank is None else str(part.rank)
        rows.append((part.name, f"{part.score:.4f}", rank, f"{part.share:.4f}", words or silent))
    return table("channel", ">score", ">rank", ">share", "words", rows=rows)
