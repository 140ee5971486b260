"""Contrastive Prompting: the last token's attention output, less that of an auxiliary prompt.

Cheng et al., "Contrastive Prompting Enhances Sentence Embeddings in LLMs through Inference-Time
Steering", ACL 2025.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from embedder.inputs.tokenized import TokenizedText
from embedder.models.backbone import Backbone
from embedder.models.request import LayerReachedError
from embedder.prompts.method_rules import ContrastRules
from embedder.prompts.readout_rules import at_depth

TINY = 1e-7  # keeps a difference of nothing from being divided by nothing


class CaptureAttentionOutput:
    """Keep the attention output of each row's last token, and stop the pass there.

    Attributes:
        states: (n, dim) what was kept, or None before the pass.
    """

    def __init__(self, projection: nn.Module, rows: Sequence[TokenizedText]) -> None:
        """Take the projection of a block's attention output, and the rows of the pass."""
        self.projection = projection
        self.last = torch.tensor([len(row.ids) - 1 for row in rows])
        self.states: Tensor | None = None

    def attach(self, seen: int) -> list[RemovableHandle]:
        """Hook a pass whose first token stands at position `seen`."""

        def keep(_: nn.Module, args: tuple[Tensor]) -> None:
            last = (self.last - seen).to(args[0].device)
            self.states = args[0][torch.arange(len(last), device=last.device), last]
            raise LayerReachedError

        return [self.projection.register_forward_pre_hook(keep)]


class ContrastiveSubtraction:
    """Contrastive Prompting for one batch.

    The last token's attention output v at the block becomes strength * (v - other), or that
    brought to the length of v.
    """

    def __init__(
        self,
        rule: ContrastRules,
        projection: nn.Module,
        rows: Sequence[TokenizedText],
        other: Tensor,
    ) -> None:
        """Take what is compared at the projection of a block's attention output.

        Args:
            rule: strength, and whether the length stays.
            projection: its input is the attention output.
            rows: texts of the pass.
            other: (n, dim) attention outputs of the auxiliary prompt.
        """
        self.rule, self.projection, self.other = rule, projection, other
        self.last = torch.tensor([len(row.ids) - 1 for row in rows])

    def attach(self, seen: int) -> list[RemovableHandle]:
        """Hook a pass whose first token stands at position `seen`."""

        def change(_: nn.Module, args: tuple[Tensor]) -> tuple[Tensor]:
            last = (self.last - seen).to(args[0].device)
            row = torch.arange(len(last), device=last.device)
            states = args[0].clone()
            states[row, last] = contrasted(states[row, last], self.other, self.rule)
            return (states,)

        return [self.projection.register_forward_pre_hook(change)]


def contrasted(states: Tensor, other: Tensor, rule: ContrastRules) -> Tensor:
    """Return what the states have and the others have not.

    Args:
        states: (n, dim) v.
        other: (n, dim) v_aux.
        rule: strength, and whether the difference gets the length of v.

    Returns:
        (n, dim).
    """
    difference = states - other
    if rule.restore:
        length = states.norm(dim=-1, keepdim=True)
        difference = difference * length / (difference.norm(dim=-1, keepdim=True) + TINY)
    return rule.strength * difference


def contrast_block(rule: ContrastRules, backbone: Backbone) -> int:
    """Return the block of a rule in a model, or say that it does not exist."""
    depth = len(backbone.layers)
    block = at_depth(rule.block, depth)
    if not 0 <= block < depth:
        raise ValueError(
            f"contrast.block {rule.block} does not exist: the model has {depth} blocks"
        )
    backbone.attention_output(block)  # looked for while nothing is hooked
    return block
