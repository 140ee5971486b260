"""Whether systems that are compared were judged on the same data, by digests in records."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from eval.runs.systems import System

BY_ID = frozenset({"documents", "judgements"})
"""Digests of data whose items have ids. Items of other data are numbers, which name nothing."""


@dataclass(frozen=True, slots=True)
class SourceDifference:
    """Two systems that were judged on different data under one name.

    Attributes:
        dataset: the name.
        systems: the first system, and the other.
        parts: names of the digests that differ, e.g. "documents" or "judgements".
    """

    dataset: str
    systems: tuple[str, str]
    parts: tuple[str, ...]


def source_differences(systems: Sequence[System], dataset: str) -> list[SourceDifference]:
    """Compare the data of every system with that of the first whose record has digests.

    Raises:
        ValueError: items are numbers, as of sentence pairs, so that they are not the same items.
    """
    sources = [(system.name, system.source(dataset)) for system in systems]
    known = [(name, source) for name, source in sources if source]
    differences = [
        SourceDifference(dataset, (known[0][0], name), parts)
        for name, source in known[1:]
        if (parts := _differing_parts(known[0][1], source))
    ]
    for difference in differences:
        if not BY_ID.issuperset(difference.parts):
            first, other = difference.systems
            raise ValueError(
                f"{first} and {other} were judged on different {', '.join(difference.parts)} of "
                f"{dataset}, so that item 1 of one is not item 1 of the other; judge both on the "
                "same"
            )
    return differences


def _differing_parts(first: Mapping[str, str], other: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(part for part in first if other.get(part, first[part]) != first[part])
