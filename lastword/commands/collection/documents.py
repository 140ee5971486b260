"""The commands that show documents of an index: list, get."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Option, Typer

from lastword.cli.command import command
from lastword.cli.filters import (
    FacetNames,
    FilterText,
    ShownFields,
    facet_facts,
    facet_tables,
    field_cells,
    filter_facts,
    named_fields,
    tell_facets,
    tell_filter,
    tell_missing,
)
from lastword.cli.options import IndexPath, Output
from lastword.cli.parse import typed_text
from lastword.cli.screen import Screen, counted, table
from lastword.cli.whole import document_facts, whole_document

if TYPE_CHECKING:
    from rich.console import RenderableType

    from index.documents import Document
    from index.filters.kept import KeptDocuments

app = Typer()

_SHOWN = 20  # documents on the screen


@command(
    app,
    [
        "lastword list my.index",
        "lastword list my.index --filter 'lang == \"de\"' --show year,lang --limit 0",
        "lastword list my.index --facet lang,year",
        "lastword list my.index --json | head",
    ],
    name="list",
)
def list_documents(
    path: IndexPath,
    output: Output,
    filter: FilterText = "",  # noqa: A002  (the word of the option)
    show: ShownFields = None,
    facet: FacetNames = None,
    limit: Annotated[
        int | None,
        Option(min=0, help=f"Documents to list; 0 is all. By default {_SHOWN}, with --json all."),
    ] = None,
) -> None:
    """List the documents of an index in the order in which they were added, or count by fields.

    --json writes a document a line, as they are read: id, title and metadata.
    """
    from index.filters.kept import KeptDocuments
    from index.folder import Index

    screen = Screen(output)
    shown, counted_fields = named_fields(show), named_fields(facet)
    most = limit if limit is not None else 0 if output.json else _SHOWN
    with Index.open(path) as index:
        kept = KeptDocuments.of(index, filter or None)
        tell_filter(kept, screen)
        if counted_fields:
            _show_facets(kept, counted_fields, screen)
        elif output.json:
            for document in _first(kept, most):
                screen.line({"id": document.id, "title": document.title} | _metadata(document))
        else:
            listed = [(each.id, each.title, each.metadata) for each in _first(kept, most)]
            tell_missing(index, shown, [metadata for *_, metadata in listed], screen)
            rows = [(*names, *field_cells(metadata, shown)) for *names, metadata in listed]
            screen.result(None, table("id", "title", *shown, rows=rows, texts=["title"]))
            if left := len(kept) - len(rows):
                screen.remark(f"{counted(left, 'more document')}; --limit 0 lists all.")


@command(app, ["lastword get my.index manual/keys.md", "lastword get my.index 12 15 --json"])
def get(
    path: IndexPath,
    ids: Annotated[
        list[str],
        Argument(metavar="ID...", help="Ids of documents.", callback=typed_text("an id")),
    ],
    output: Output,
) -> None:
    """Show whole documents: title, text and metadata."""
    from index.folder import Index

    with Index.open(path) as index:
        found = [index.document(name) for name in ids]
    facts = [document_facts(document) for document in found]
    pieces: list[RenderableType] = []
    for document in found:
        pieces += [whole_document(document), *([""] if document is not found[-1] else [])]
    Screen(output).result({"documents": facts}, *pieces)


def _show_facets(kept: "KeptDocuments", names: list[str], screen: Screen) -> None:
    from index.filters.facets import count_facets

    facets = count_facets(kept, names)
    data = {"documents": len(kept), **filter_facts(kept), **facet_facts(facets)}
    screen.result(data, *facet_tables(facets, hits=False))
    tell_facets(facets, screen)


def _first(documents: "Iterable[Document]", most: int) -> "Iterator[Document]":
    """Yield the first documents, all for 0."""
    for at, document in enumerate(documents, start=1):
        yield document
        if at == most:
            return


def _metadata(document: "Document") -> dict[str, Any]:
    return {"metadata": dict(document.metadata)}
