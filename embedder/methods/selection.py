"""The rules of SCSP in a prompt."""

from dataclasses import dataclass
from math import isfinite


@dataclass(frozen=True, slots=True)
class SelectionRules:
    """How the tokens of a text are selected.

    Attributes:
        ask: what follows each chunk, a prompt for a summary.
        chunk_tokens: tokens that a chunk of whole sentences holds at most; the paper takes 256 for
            texts of 512 tokens and 512 for texts of 8192.
        alpha: a token is kept where its importance is above alpha times the chunk's mean; the
            paper takes 1 to 2 for texts of 512 tokens and 1.5 to 2.5 for texts of 8192.
    """

    ask: str = 'Brief summary: "'
    chunk_tokens: int = 256
    alpha: float = 1.5

    def __post_init__(self) -> None:
        if not self.ask.strip():
            raise ValueError("ask must hold a prompt for a summary, it is blank")
        if self.chunk_tokens < 1:
            raise ValueError(f"chunk_tokens must be at least 1, got {self.chunk_tokens}")
        if not (isfinite(self.alpha) and self.alpha > 0):
            raise ValueError(f"alpha must be a finite number above 0, got {self.alpha}")
