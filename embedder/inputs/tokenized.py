"""TokenizedText: one text as token ids, with marks at what is read, copied and chosen."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(slots=True)
class TokenizedText:
    """Token ids of one text in one wording.

    Attributes:
        ids: every token fed, the prefix included.
        text_spans: for each text slot in order, the stretches of positions that its tokens take.
        state_copies: (from, to) positions for token prepending.
        chunks: stretches of whole sentences of the last slot, where tokens are to be selected.
        truncated: whether the text was longer than the limit.
    """

    ids: list[int] = field(default_factory=list)
    text_spans: list[list[range]] = field(default_factory=list)
    state_copies: list[tuple[int, int]] = field(default_factory=list)
    chunks: list[range] = field(default_factory=list)
    truncated: bool = False

    def add(self, ids: Sequence[int]) -> range:
        """Append ids, and say where they stand."""
        start = len(self.ids)
        self.ids.extend(ids)
        return range(start, len(self.ids))


@dataclass(frozen=True, slots=True, eq=False)
class ModelInput:
    """Token ids of one text under every wording of the prompt.

    Attributes:
        wordings: the text in each wording.
        auxiliary: the text in the auxiliary prompt of contrastive prompting, or None.
        columns: int64 columns that the text's sparse row may use, or None where there is none.
    """

    wordings: tuple[TokenizedText, ...]
    auxiliary: TokenizedText | None = None
    columns: NDArray[np.int64] | None = None

    @property
    def tokens(self) -> int:
        """Tokens fed in all."""
        return sum(len(row.ids) for row in self.wordings) + (
            len(self.auxiliary.ids) if self.auxiliary else 0
        )

    @property
    def truncated(self) -> bool:
        """Whether the text was longer than the limit in any wording."""
        return any(row.truncated for row in (*self.wordings, self.auxiliary) if row is not None)


def common_start(rows: Sequence[list[int]]) -> list[int]:
    """Return the ids that all of at least one row begin with."""
    low, high = min(rows), max(rows)  # what these two share, those between them share too
    length = min(len(low), len(high))
    return low[: next((at for at in range(length) if low[at] != high[at]), length)]


def shared_length(rows: Sequence[list[int]]) -> int:
    """Return how many ids all rows begin with, leaving every row at least one of its own."""
    return min(len(common_start(rows)), min(map(len, rows)) - 1) if rows else 0
