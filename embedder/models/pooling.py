"""Hidden states -> rows: which positions are read, and how they become one row."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from embedder.inputs.tokenized import TokenizedText
from embedder.models.sparse import term_weights
from embedder.prompts.readout_rules import ReadoutRules


@dataclass(frozen=True, slots=True, eq=False)
class TokenPooling:
    """The positions that are read of each row of a batch, counted from the row's first token.

    Attributes:
        rows: (m,) int64, row of each position, non-decreasing; the mean of none is zeros.
        positions: (m,) int64.
    """

    rows: NDArray[np.int64]
    positions: NDArray[np.int64]

    def mean_pool(self, states: Tensor, seen: int) -> Tensor:
        """Average the states at the positions.

        Args:
            states: (n, length, dim), of which the first stands at position `seen`.
            seen: positions before it, which must not be read here.

        Returns:
            (n, dim) float32; the state itself, untouched, where each row has one position.
        """
        rows, places = self._on(states, seen)
        values = states[rows, places]  # (m, dim)
        if len(rows) == len(states) and len(np.unique(self.rows)) == len(states):
            return values
        total = torch.zeros((len(states), values.shape[1]), device=states.device)
        count = torch.bincount(rows, minlength=len(states))
        return total.index_add_(0, rows, values.float()) / count.clamp(min=1)[:, None]

    def max_pool_logits(self, logits: Tensor, seen: int) -> Tensor:
        """Return the largest ln(1 + relu(logit)) over the positions, (n, vocab) float32.

        The pooling of LENS (Lei et al., 2025) and SPLADE (Formal et al., SIGIR 2021).
        """
        rows, places = self._on(logits, seen)
        values = term_weights(logits[rows, places])  # (m, vocab)
        index = rows[:, None].expand_as(values)
        start = torch.zeros((len(logits), values.shape[1]), device=logits.device)
        return start.scatter_reduce(0, index, values, "amax")

    def _on(self, states: Tensor, seen: int) -> tuple[Tensor, Tensor]:
        if len(self.positions) and self.positions.min() < seen:
            raise ValueError(
                "positions of the shared prefix cannot be read: its states were computed before"
            )
        rows = torch.from_numpy(self.rows).to(states.device)
        return rows, torch.from_numpy(self.positions - seen).to(states.device)


class KeepStates:
    """Keep the states of every position, to be read when it is known which ones matter."""

    def __init__(self) -> None:
        self.states: Tensor | None = None
        self.seen = 0

    def mean_pool(self, states: Tensor, seen: int) -> Tensor:
        """Keep states (n, length, dim), the first at position `seen`; return the last ones."""
        self.states, self.seen = states.clone(), seen
        return states[:, -1]


def find_pooling(rows: Sequence[TokenizedText], reading: ReadoutRules) -> TokenPooling:
    """Find the positions that the rules read; see `read_positions` for spans without tokens."""
    positions = [read_positions(row, reading) for row in rows]
    return TokenPooling(
        np.repeat(np.arange(len(rows)), [len(of_row) for of_row in positions]),
        np.concatenate(positions) if positions else np.zeros(0, np.int64),
    )


def read_positions(row: TokenizedText, reading: ReadoutRules) -> NDArray[np.int64]:
    """Return the positions that are read of one row, increasing.

    Where a text has no tokens, the row's last token is read; but of a copy that has none, nothing,
    which gives zeros, or the row's first token where the last of the copy is read. This is what
    the program of Echo does (Springer et al., ICLR 2025).
    """
    last = np.array([len(row.ids) - 1])
    if reading.at_last_token:
        return last
    span = span_positions(row, reading)
    if reading.pool == "max":  # the answer about a token is given at the token before it
        span = span[span > 0] - 1
    if not len(span) and reading.span == "copy":
        return np.zeros(int(reading.pool == "last"), np.int64)
    if not len(span):
        return last
    return span[-1:] if reading.pool == "last" else span


def span_positions(row: TokenizedText, reading: ReadoutRules) -> NDArray[np.int64]:
    """Return the positions of the span; empty where the text has no tokens."""
    if reading.span == "prompt":
        return np.arange(len(row.ids))
    slots = row.text_spans[1:2] if reading.span == "copy" else row.text_spans[:1]
    stretches = [np.arange(part.start, part.stop) for slot in slots for part in slot]
    return np.concatenate(stretches) if stretches else np.zeros(0, np.int64)


def read_states(
    states: Tensor, last: Tensor, pooling: TokenPooling | KeepStates | None, seen: int
) -> Tensor:
    """Take what is pooled of states (n, length, dim), or each row's last state: (n, dim).

    Args:
        states: of which the first stands at position `seen`.
        last: (n,) int64 place of each row's last state.
        pooling: of the positions that are read; None for the last ones.
        seen: positions before the states.
    """
    if pooling is not None:
        return pooling.mean_pool(states, seen)
    return states[torch.arange(len(last), device=states.device), last]
