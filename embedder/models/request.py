"""What a forward pass is asked for, what it gives, and what may be done on the way."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from torch import Tensor

from embedder.prompts.readout_rules import Norm

if TYPE_CHECKING:
    from torch.utils.hooks import RemovableHandle
    from transformers import DynamicCache


class StatePooling(Protocol):
    """What makes one row of the states that it is shown."""

    def mean(self, states: Tensor, seen: int) -> Tensor:
        """Turn states (n, length, dim), the first at position `seen`, into (n, dim)."""
        ...

    def peak(self, logits: Tensor, seen: int) -> Tensor:
        """Turn logits (n, length, vocab) into (n, vocab)."""
        ...


class Intervention(Protocol):
    """Something that is done to states on their way up."""

    def attach(self, seen: int) -> list["RemovableHandle"]:
        """Hook a pass whose first token stands at position `seen`."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class ReadRequest:
    """What a pass is asked for.

    Attributes:
        layer: hidden state: -1 is the top, i the output of block i, 0 the embeddings, -i counted
            from the end, a fraction one of the model's depth.
        hidden: whether states are wanted.
        logits: whether next-token logits are wanted.
        norm: whether states pass the final norm: at the top only, always, or never.
        take: the positions that are read, or None for each row's last token.
        peak: the dense row is made of logits, not of states.
        bidirectional: whether a token sees the ones after it.
    """

    layer: int | float = -1
    hidden: bool = True
    logits: bool = True
    norm: Norm = "top"
    take: StatePooling | None = None
    peak: bool = False
    bidirectional: bool = False


@dataclass(slots=True)
class ForwardOutput:
    """What a pass gave, and what a next one needs to go on.

    Attributes:
        hidden: (n, dim) what was read of each row, or None.
        logits: (n, vocab) at each row's last token, or None.
        seen: positions that the longest row has taken.
        cache: keys and values so far, or None where the pass kept none.
    """

    hidden: Tensor | None
    logits: Tensor | None
    seen: int
    cache: "DynamicCache | None"


class LayerReachedError(Exception):
    """Ends a forward pass at the layer that was asked for."""
