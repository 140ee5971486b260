"""The items on which two systems differ most, with the documents of each."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from eval.runs.systems import Evidence
from eval.statistics.paired import Paired
from index.folder import Index

WIDTH = 200  # characters of a document


@dataclass(frozen=True, slots=True)
class RankedDocument:
    """A document among the first ten, its gain, and how its text begins.

    Attributes:
        id: of the document.
        gain: how relevant it was judged; None where it was not.
        text: title and first words in one line; empty where the index is gone.
    """

    id: str
    gain: int | None
    text: str


@dataclass(frozen=True, slots=True)
class LargeDifference:
    """An item on which two systems differ, and the documents of each.

    Attributes:
        dataset: where it is from.
        item: query id, or number of a pair or sentence.
        text: of the query; empty where it is not known.
        baseline: name of the system compared with.
        system: name of the system.
        baseline_value: of the measure.
        system_value: likewise.
        baseline_documents: the first ten, best first; nothing where nothing was searched.
        system_documents: likewise.
    """

    dataset: str
    item: str
    text: str
    baseline: str
    system: str
    baseline_value: float
    system_value: float
    baseline_documents: tuple[RankedDocument, ...]
    system_documents: tuple[RankedDocument, ...]

    @property
    def difference(self) -> float:
        """How much more the system has."""
        return self.system_value - self.baseline_value

    def to_json(self) -> dict[str, Any]:
        """Return all of it, and the difference."""
        return {**asdict(self), "difference": self.difference}


@dataclass(frozen=True, slots=True)
class ItemPlace:
    """Where in the paired values of a data set an item is."""

    paired: Paired
    at: int


def largest_differences(pairs: Sequence[Paired], n: int) -> list[ItemPlace]:
    """Return the n items on which two systems differ most, over all data sets; never a tie."""
    places = {
        ItemPlace(paired, at): abs(difference)
        for paired in pairs
        for at, difference in enumerate(paired.differences.tolist())
        if difference
    }
    return sorted(places, key=lambda place: -places[place])[:n]


def describe_difference(
    place: ItemPlace, evidence: Sequence[Evidence], texts: "DocumentTexts"
) -> LargeDifference:
    """Describe the documents of both systems, the baseline first, for an item.

    Args:
        place: the item.
        evidence: of the baseline and the system; empty where nothing was searched.
        texts: of the documents.
    """
    paired, item = place.paired, place.paired.items[place.at]
    documents = [
        tuple(
            RankedDocument(document, system.qrels.get(item, {}).get(document), texts.of(document))
            for document in system.top(item)
        )
        for system in evidence
    ] or [(), ()]
    return LargeDifference(
        dataset=paired.dataset,
        item=item,
        text=next((system.queries[item] for system in evidence if item in system.queries), ""),
        baseline=paired.baseline,
        system=paired.system,
        baseline_value=float(paired.values[0, place.at]),
        system_value=float(paired.values[1, place.at]),
        baseline_documents=documents[0],
        system_documents=documents[1],
    )


class DocumentTexts:
    """How documents begin, from the first index that is still there and has them."""

    def __init__(self, paths: Sequence[Path | None]) -> None:
        self._open = ExitStack()
        self._indexes = []
        for path in dict.fromkeys(path for path in paths if path is not None):
            try:
                self._indexes.append(self._open.enter_context(Index.open(path)))
            except (ValueError, OSError):  # ids must do: figures need no text
                continue

    def __enter__(self) -> "DocumentTexts":
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def of(self, document_id: str) -> str:
        """Return the beginning of a document in one line; "" where it is nowhere."""
        for index in self._indexes:
            try:
                content = index.document(document_id).content
            except ValueError:
                continue
            return " ".join(content[: 2 * WIDTH].split())[:WIDTH]
        return ""
