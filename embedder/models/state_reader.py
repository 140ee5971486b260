"""Take the positions that a pass is asked for out of its states and logits."""

import torch
from torch import Tensor

from embedder.models.request import ReadRequest


class StateReader:
    """Take what is wanted of states (n, length, dim) -> (n, dim)."""

    def __init__(self, last: Tensor, wanted: ReadRequest, seen: int) -> None:
        self._last, self._take, self._seen = last, wanted.take, seen

    def __call__(self, states: Tensor) -> Tensor:
        """Take each row's last state, or what is pooled."""
        return self._take.mean(states, self._seen) if self._take else self.last(states)

    def last(self, states: Tensor) -> Tensor:
        """Take each row's last state."""
        return states[torch.arange(len(self._last), device=states.device), self._last]

    def last_only(self) -> "StateReader":
        """Return a reader of last states: what was wanted is read further down already."""
        return StateReader(self._last, ReadRequest(), self._seen)

    def peak(self, logits: Tensor) -> Tensor:
        """Take the largest logits, log-saturated."""
        if self._take is None:
            raise ValueError("the largest logits over which positions? Wanted.take is missing")
        return self._take.peak(logits, self._seen)
