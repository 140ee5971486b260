"""The contract of a channel outside of an index: queries in, a run of the index's documents out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from embedder.types import Encoder, Representation
from retrieval.run import Run


@dataclass(frozen=True, slots=True)
class OutsideMatch:
    """The score of a document for a query, and the words that it consists of.

    Attributes:
        score: 0 where nothing matches.
        words: word, as the channel has it -> its part of the score.
        unit: what scores are of, where that is not plain; else "".
    """

    score: float
    words: Mapping[str, float]
    unit: str = ""


class OutsideChannel(Protocol):
    """Ranks documents that it knows by their ids; a retriever fuses it with an index's channels.

    Threads may search it together.
    """

    @property
    def encoder(self) -> Encoder | None:
        """The encoder whose rows queries are searched by; None where texts are enough."""
        ...

    @property
    def lexical(self) -> bool:
        """Whether scores count common words, which a fusion may want to know."""
        ...

    @property
    def facts(self) -> Mapping[str, Any]:
        """Return what it is and holds, as JSON, for people and the settings of runs."""
        ...

    def within(self, ids: Sequence[str]) -> "OutsideChannel":
        """Return a channel of its own, to be closed by itself, that finds only these documents.

        Raises:
            ValueError: it knows none of them, so that it is of another collection; not where it
                is joined already, and the documents that it knew were deleted.
        """
        ...

    def among(self, kept: NDArray[np.bool_]) -> "OutsideChannel":
        """Return a channel that finds some of its documents only, for as long as it is open.

        It is not closed by itself. Of a channel that is narrowed already it takes the place.

        Args:
            kept: for each of the ids that `within` was given, whether its document may be found;
                scores stay what they are.
        """
        ...

    def search(self, queries: Mapping[str, str], rows: Representation | None, k: int) -> Run:
        """Return the k best documents of every query; a query may have none.

        Args:
            queries: query id -> text.
            rows: of the texts by `encoder`, in their order; None where there is no encoder.
            k: at least 1; documents that may not be found take no place.
        """
        ...

    def match(self, query: str, rows: Representation | None, document_id: str) -> OutsideMatch:
        """Score one document for one query, found or not; arguments as for `search`."""
        ...

    def close(self) -> None:
        """Let go of files."""
        ...
