"""Whether systems that are compared were judged on the same data, by digests in records."""

from collections.abc import Sequence
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

    @property
    def text(self) -> str:
        """The difference in a sentence."""
        return (
            f"{self.dataset}: {' and '.join(self.systems)} were judged with different "
            f"{' and '.join(self.parts)}; the difference is not of the systems alone."
        )


def source_differences(systems: Sequence[System], dataset: str) -> list[SourceDifference]:
    """Compare the data of every system with that of the first whose record has digests."""
    sources = [(system.name, system.source(dataset)) for system in systems]
    with_digests = [(name, source) for name, source in sources if source]
    if not with_digests:
        return []
    (first_name, first), *others = with_digests
    return [
        SourceDifference(dataset, (first_name, name), parts)
        for name, source in others
        if (parts := tuple(part for part in first if source.get(part, first[part]) != first[part]))
    ]


def check_same_items(differences: Sequence[SourceDifference]) -> None:
    """Refuse to compare systems item by item whose items are not the same.

    Raises:
        ValueError: items are numbers, as of sentence pairs, of different data.
    """
    for difference in differences:
        if not BY_ID.issuperset(difference.parts):
            data = ", ".join(difference.parts)
            raise ValueError(
                f"{' and '.join(difference.systems)} were judged on different {data} of "
                f"{difference.dataset}, so that item 1 of one is not item 1 of the "
                "other; judge both on the same"
            )
