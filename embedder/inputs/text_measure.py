"""How long texts are for a model: in tokens of its own tokenizer, and where those end."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from embedder.locks import lock_of

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True, slots=True, eq=False)
class TextMeasure:
    """What an encoder with a tokenizer at hand tells of documents before it reads them.

    Attributes:
        tokenizer: of the model.
        limit: tokens of a document that are read; 0 is no limit.
        count_long: texts, limit -> for each text whether it is read to its end within so many
            tokens of its own (False) or would be cut (True), exactly as the encoder cuts.
    """

    tokenizer: "PreTrainedTokenizerBase"
    limit: int
    count_long: Callable[[Sequence[str], int], Sequence[bool]]

    def are_long(self, texts: Sequence[str], limit: int) -> bool:
        """Tell whether one of some texts would be cut at `limit` tokens."""
        # No tokenizer makes more tokens than bytes, and some begin a text with one more.
        doubtful = [text for text in texts if len(text.encode()) + 8 > limit]
        return bool(doubtful) and any(self.count_long(doubtful, limit))

    def sizes(self, text: str, bounds: NDArray[np.int64]) -> NDArray[np.int64]:
        """Count the tokens that begin within each stretch of a text, or before it.

        Args:
            text: tokenised as a whole, where the tokenizer tells where its tokens stand.
            bounds: (n, 2) first character of each stretch, rising, and one past its last.

        Returns:
            (n,) int64 tokens.
        """
        if not len(bounds):
            return np.zeros(0, np.int64)
        with lock_of(self.tokenizer):
            if not self.tokenizer.is_fast:
                pieces = [text[start:end] for start, end in bounds.tolist()]
                rows = self.tokenizer(pieces, add_special_tokens=False, verbose=False).input_ids
                return np.array([len(ids) for ids in rows], np.int64)
            output = self.tokenizer(
                text, add_special_tokens=False, verbose=False, return_offsets_mapping=True
            )
        # A token may begin with the space before its word: its last character is in the word.
        lasts = np.array([end for _, end in output["offset_mapping"]], np.int64) - 1
        owners = np.searchsorted(bounds[:, 1], lasts, side="right").clip(0, len(bounds) - 1)
        return np.bincount(owners, minlength=len(bounds)).astype(np.int64)
