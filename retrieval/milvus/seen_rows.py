"""Entities that a server has named, numbered in the order in which they were first seen."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import RLock
from typing import Any

import numpy as np
from numpy.typing import NDArray

NAMES = ("id", "row", "start", "end")
"""Fields of an entity that are read of every hit."""


@dataclass(frozen=True, slots=True, eq=False)
class SeenRows:
    """Numbers of rows, which are the same in all channels; threads may share them.

    Attributes:
        ids: of the document of each row.
        spans: where the passage of each row starts and ends in its text.
        documents: number of the document of each row.
        numbers: id of a document -> its number.
        rows: id of a document and row within it -> number.
    """

    ids: list[str] = field(default_factory=list)
    spans: list[tuple[int, int]] = field(default_factory=list)
    documents: list[int] = field(default_factory=list)
    numbers: dict[str, int] = field(default_factory=dict)
    rows: dict[tuple[str, int], int] = field(default_factory=dict)
    _lock: Any = field(default_factory=RLock)

    def number(self, entity: Mapping[str, Any]) -> int:
        """Return the number of the row that an entity is, a new one for a new row.

        Raises:
            ValueError: it is no entity that was pushed.
        """
        name, *numbers = (entity.get(field) for field in NAMES)
        if not isinstance(name, str) or not name or not _whole(numbers):
            raise ValueError(f"a server of Milvus answered with no row: {entity!r:.200}")
        row, start, end = (int(number or 0) for number in numbers)
        key = (name, row)
        with self._lock:
            if key not in self.rows:
                self.ids.append(name)
                self.spans.append((start, max(start, end)))
                self.documents.append(self.number_document(name))
                self.rows[key] = len(self.rows)
            return self.rows[key]

    def number_document(self, name: str) -> int:
        """Return the number of a document, a new one for a new document."""
        with self._lock:
            return self.numbers.setdefault(name, len(self.numbers))

    def owners(self) -> NDArray[np.int64]:
        """Return (rows,) the number of the document of each row."""
        with self._lock:
            return np.array(self.documents, np.int64)


def _whole(values: list[Any]) -> bool:
    return all(type(value) is int and value >= 0 for value in values)
