"""The options --filter, --facet and --show, and what is said and shown of them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

from typer import Option

from lastword.cli.parse import split_all, typed_text
from lastword.cli.screen import Screen, counted, table

if TYPE_CHECKING:
    from index.filters.facets import Facet
    from index.filters.kept import KeptDocuments
    from index.folder import Index
    from lastword.cli.tables import Table

_SHOWN = 20  # values of a facet on the screen

FilterText = Annotated[
    str,
    Option(
        metavar="EXPR",
        help="Only documents whose metadata meet a condition: "
        '\'year >= 2020 and lang == "de" and "tax" in tags\'. See docs/filters.md.',
        callback=typed_text("the filter"),
    ),
]

FacetNames = Annotated[
    list[str] | None,
    Option(
        metavar="FIELD",
        help="Count the values of a field over all documents that meet --filter; a search counts "
        "them over its hits, too. Several with commas, or repeated.",
        callback=typed_text("the name of a field"),
    ),
]

ShownFields = Annotated[
    list[str] | None,
    Option(
        metavar="FIELD",
        help="Fields of the metadata to show, e.g. year,lang. --json always holds all.",
        callback=typed_text("the name of a field"),
    ),
]


def filter_facts(kept: "KeptDocuments | None") -> dict[str, Any]:
    """Return what a filter is and keeps, as JSON under "filter"; nothing where there is none."""
    if kept is None or kept.filter is None:
        return {}
    return {"filter": {"text": kept.filter.text, "documents": len(kept)}}


def tell_filter(kept: "KeptDocuments | None", screen: Screen) -> None:
    """Say how many documents meet a filter, and what no document can meet."""
    if kept is None or kept.filter is None or not screen.speaks:
        return
    for remark in kept.remarks():
        screen.remark(f"Filter: {remark}.")
    of = counted(kept.index.documents, "document")
    screen.remark(f"Filter: {len(kept):,} of {of} {'meets' if len(kept) == 1 else 'meet'} it.")


def facet_facts(facets: "Sequence[Facet]") -> dict[str, Any]:
    """Return facets as JSON under "facets"; nothing where none was asked for."""
    return {"facets": [asdict(facet) for facet in facets]} if facets else {}


def facet_tables(facets: "Sequence[Facet]", hits: bool) -> "list[Table]":
    """Lay out facets, the most frequent values of each."""
    columns = [">documents", *([">hits"] if hits else [])]
    return [
        table(
            facet.field,
            *columns,
            rows=[
                (written(each.value), f"{each.documents:,}", *([f"{each.hits:,}"] if hits else []))
                for each in facet.values[:_SHOWN]
            ],
        )
        for facet in facets
    ]


def tell_facets(facets: "Sequence[Facet]", screen: Screen) -> None:
    """Say what the tables of facets lack."""
    for facet in facets:
        if facet.remark:
            screen.remark(f"Facet: {facet.remark}.")
        if rest := facet.values[_SHOWN:]:
            screen.remark(f"{facet.field}: {counted(len(rest), 'more value')}; --json has all.")
        if facet.nested:
            screen.remark(
                f"{facet.field}: {counted(facet.nested, 'object')} or lists in lists not counted."
            )


def field_cells(metadata: Mapping[str, Any], fields: Sequence[str]) -> list[str]:
    """Return the values of some fields of a document, as people read them."""
    from index.filters.column import value_at
    from index.filters.parse import parse_field

    return [written(value_at(metadata, parse_field(name))) for name in fields]


def tell_missing(
    index: "Index", fields: Sequence[str], shown: Sequence[Mapping[str, Any]], screen: Screen
) -> None:
    """Say which fields that are shown no document has, where those on the screen have none."""
    from index.filters.column import value_at
    from index.filters.kept import missing_field
    from index.filters.parse import parse_field

    for field in map(parse_field, fields) if shown and screen.speaks else ():
        absent = all(value_at(metadata, field) is None for metadata in shown)
        if absent and (remark := missing_field(index, field)):
            screen.remark(f"Show: {remark}.")


def named_fields(names: Sequence[str] | None) -> list[str]:
    """Take lists of fields apart at commas, and read each once.

    Raises:
        ValueError: one is no name of a field.
    """
    from index.filters.parse import parse_field

    fields = split_all(names or ())
    for name in fields:
        parse_field(name)
    return fields


def written(value: object) -> str:
    """Write a value of metadata: texts as they are, lists with commas, nothing as "-"."""
    if value is None:
        return "-"
    if isinstance(value, list):
        return ", ".join(map(written, value)) or "-"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
