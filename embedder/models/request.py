"""The request of a forward pass, its output, and what may be done to states in between."""

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor
from torch.utils.hooks import RemovableHandle
from transformers import DynamicCache

from embedder.models.pooling import KeepStates, TokenPooling
from embedder.prompts.readout_rules import Norm


class Intervention(Protocol):
    """A change to states on their way up."""

    def attach(self, seen: int) -> list[RemovableHandle]:
        """Hook a pass whose first token stands at position `seen`."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class ReadRequest:
    """Which hidden layer, logits and positions one forward pass returns.

    Attributes:
        layer: hidden state: -1 is the top, i the output of block i, 0 the embeddings, -i counted
            from the end, a fraction one of the model's depth.
        hidden: whether states are returned.
        logits: whether next-token logits are returned.
        norm: whether states pass the final norm: at the top only, always, or never.
        pooling: of the positions that are read, or None for each row's last token.
        pool_logits: whether the dense row is made of logits, not of states.
        bidirectional: whether a token sees the ones after it.
    """

    layer: int | float = -1
    hidden: bool = True
    logits: bool = True
    norm: Norm = "top"
    pooling: TokenPooling | KeepStates | None = None
    pool_logits: bool = False
    bidirectional: bool = False


@dataclass(slots=True)
class ForwardOutput:
    """The output of a forward pass, and what the next one needs to go on.

    Attributes:
        hidden: (n, dim) the state of each row, or None.
        logits: (n, vocab) at each row's last token, or None.
        seen: positions that the longest row has taken.
        cache: keys and values so far, or None where the pass kept none.
    """

    hidden: Tensor | None
    logits: Tensor | None
    seen: int
    cache: DynamicCache | None


class LayerReachedError(Exception):
    """Ends a forward pass at the layer that was asked for."""
