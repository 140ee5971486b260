"""Facets: how many documents have each value of a field."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from index.filters.column import LIST, OBJECT, Key, Scalar
from index.filters.expression import write_field
from index.filters.kept import KeptDocuments, missing_field
from index.filters.parse import parse_field


@dataclass(frozen=True, slots=True)
class FacetValue:
    """A value of a field.

    Attributes:
        value: None stands for documents that lack the field, and for empty lists.
        documents: how many of the documents that a filter keeps have it, or have it in a list.
        hits: how many of the hits of a search do.
    """

    value: Scalar
    documents: int
    hits: int = 0


@dataclass(frozen=True, slots=True)
class Facet:
    """The values of a field, most frequent first; of equals numbers before texts, by order.

    Attributes:
        field: as a filter names it.
        values: a document with a list counts for each of its items.
        nested: values that are objects or lists in lists, which are not counted.
        remark: "" unless no document has the field.
    """

    field: str
    values: tuple[FacetValue, ...]
    nested: int = 0
    remark: str = ""


def count_facets(
    kept: KeptDocuments, names: Sequence[str], hits: Iterable[str] = ()
) -> list[Facet]:
    """Count the values of some fields over all documents that a filter keeps.

    Args:
        kept: the documents; what a query finds plays no part.
        names: fields as a filter names them: lang, author.name.
        hits: ids of documents that are counted beside.

    Raises:
        ValueError: a name cannot be read, or a file is damaged.
    """
    fields = {name: parse_field(name) for name in names}
    found = list(hits)
    totals: dict[str, Counter[Key]] = {name: Counter() for name in fields}
    among: dict[str, Counter[Key]] = {name: Counter() for name in fields}
    for segment, mask in zip(kept.index.opened, kept.masks, strict=True):
        segment.columns.load(fields.values())
        shown = np.zeros(len(mask), np.bool_)
        shown[list(segment.documents.find(found).values())] = True
        for name, field in fields.items():
            totals[name].update(segment.columns[field].count(mask))
            among[name].update(segment.columns[field].count(mask & shown))
    facets = []
    for name, field in fields.items():
        remark = missing_field(kept.index, field)
        facets.append(_facet(write_field(field), totals[name], among[name], remark))
    return facets


def _facet(name: str, totals: Counter[Key], hits: Counter[Key], remark: str) -> Facet:
    ordered = sorted(totals.items(), key=lambda item: (-item[1], item[0]))
    values = tuple(
        FacetValue(key[1] if key[0] else None, count, hits[key])
        for key, count in ordered
        if key[0] not in (LIST, OBJECT)
    )
    return Facet(name, values, totals[(LIST, 0)] + totals[(OBJECT, 0)], remark)
