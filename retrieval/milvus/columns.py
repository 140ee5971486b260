"""Columns of words as columns of Milvus, which has 32 bits for them where bm25 has 62."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrieval.milvus.recipe import FILLER

_KEPT = 30  # of 62 bits the highest 32


@dataclass(frozen=True, slots=True)
class ColumnMap:
    """Gives every column of a channel one of Milvus; terms of the collection never share one.

    Attributes:
        folded: whether columns are too many, so that the highest bits of each are taken.
        moved: columns whose bits another term had already -> where they are.
    """

    folded: bool
    moved: Mapping[int, int]

    @staticmethod
    def of(dim: int, terms: NDArray[np.int64]) -> "ColumnMap":
        """Choose columns for all terms of a collection.

        Args:
            dim: of the channel.
            terms: (t,) distinct, ascending.
        """
        if dim <= FILLER:
            return ColumnMap(False, {})
        places = _fold(terms)
        _, first = np.unique(places, return_index=True)
        taken = set(places.tolist())
        moved = {}
        for term in np.delete(terms, first).tolist():
            at = int(_fold(np.array([term]))[0])
            while at in taken:
                at = (at + 1) % FILLER
            taken.add(at)
            moved[term] = at
        return ColumnMap(True, moved)

    def places(self, columns: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the columns of Milvus."""
        if not self.folded:
            return columns
        places = _fold(columns)
        for term, place in self.moved.items():
            places[columns == term] = place
        return places


def _fold(columns: NDArray[np.int64]) -> NDArray[np.int64]:
    return (columns.astype(np.int64) >> _KEPT) % FILLER
