"""Row: one text as token ids, with marks at what is read, copied and chosen."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(slots=True)
class TokenizedText:
    """One text in one frame.

    Attributes:
        ids: every token fed, the prefix included.
        slots: for each text slot in order, the stretches of positions that its tokens take.
        copies: (from, to) positions for token prepending.
        chunks: stretches of whole sentences of the last slot, where tokens are to be selected.
        cut: whether the text was longer than the limit.
    """

    ids: list[int] = field(default_factory=list)
    slots: list[list[range]] = field(default_factory=list)
    copies: list[tuple[int, int]] = field(default_factory=list)
    chunks: list[range] = field(default_factory=list)
    cut: bool = False

    def add(self, ids: Sequence[int]) -> range:
        """Append ids, and say where they stand."""
        start = len(self.ids)
        self.ids.extend(ids)
        return range(start, len(self.ids))


@dataclass(frozen=True, slots=True, eq=False)
class ModelInput:
    """One text as a model is fed it.

    Attributes:
        rows: one for each wording.
        other: the text in the auxiliary prompt of contrastive prompting, or None.
        columns: int64 columns that the text's sparse row may use, or None where there is none.
    """

    rows: tuple[TokenizedText, ...]
    other: TokenizedText | None = None
    columns: NDArray[np.int64] | None = None

    @property
    def tokens(self) -> int:
        """Tokens fed in all."""
        return sum(len(row.ids) for row in self.rows) + (len(self.other.ids) if self.other else 0)

    @property
    def truncated(self) -> bool:
        """Whether the text was longer than the limit in any wording."""
        return any(row.cut for row in (*self.rows, self.other) if row is not None)
