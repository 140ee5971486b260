"""What is done to states on their way up, as hooks: token prepending, contrastive prompting."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from embedder.inputs.tokenized import TokenizedText
from embedder.models.anatomy import attention_output, before_block, embedding_scale
from embedder.models.backbone import Backbone
from embedder.models.request import LayerReachedError
from embedder.prompts.readout_rules import ContrastRules, PrependingRules, at_depth

if TYPE_CHECKING:
    from torch.utils.hooks import RemovableHandle

TINY = 1e-7  # keeps a difference of nothing from being divided by nothing


class TokenPrepending:
    """Token Prepending for one batch (Fu et al., ACL 2025; hierarchical: HTP, ACL 2026).

    Before block i, start <= i < exit, every `to` position gets a copy of the state at its `from`
    position. The placeholder's embedding is a row beside the model's table, which stays as it is.
    """

    def __init__(
        self,
        backbone: Backbone,
        rule: PrependingRules,
        rows: Sequence[TokenizedText],
        placeholder: int,
    ) -> None:
        self.blocks = prepend_blocks(rule, backbone)
        self.placeholder = placeholder
        pairs = [(row, *pair) for row, one in enumerate(rows) for pair in one.copies]
        self.pairs = torch.tensor(pairs, dtype=torch.int64, device=backbone.device).reshape(-1, 3)

    def attach(self, backbone: Backbone, seen: int) -> list["RemovableHandle"]:
        """Hook a pass whose first token stands at position `seen`."""
        if len(self.pairs) and int(self.pairs[:, 1:].min()) < seen:
            raise ValueError(
                "token prepending writes a text's own state to its placeholder, so the shared "
                f"prefix must end before it: it has {seen} tokens, and the first placeholder "
                f"stands at {int(self.pairs[:, 2].min())}"
            )
        row, source, target = self.pairs[:, 0], self.pairs[:, 1] - seen, self.pairs[:, 2] - seen

        def copy(states: Tensor) -> None:
            states[row, target] = states[row, source]

        return [
            *self._embed(backbone),
            *(before_block(backbone.layers, block, copy) for block in self.blocks),
        ]

    def _embed(self, backbone: Backbone) -> list["RemovableHandle"]:
        """Give the placeholder an embedding of its own."""
        table = backbone.model.get_input_embeddings()
        vector = backbone.placeholder_row * embedding_scale(table)
        held: list[Tensor] = []

        def hide(_: nn.Module, args: tuple[Tensor]) -> tuple[Tensor]:
            held.append(args[0] == self.placeholder)
            return (args[0].masked_fill(held[-1], 0),)  # the id may lie outside the table

        def show(_: nn.Module, __: object, states: Tensor) -> Tensor:
            return torch.where(held.pop()[..., None], vector.to(states), states)

        return [table.register_forward_pre_hook(hide), table.register_forward_hook(show)]


class CaptureAttentionOutput:
    """Keep the attention output of each row's last token at a block, and stop there."""

    def __init__(self, block: int, rows: Sequence[TokenizedText]) -> None:
        self.block = block
        self.last = torch.tensor([len(row.ids) - 1 for row in rows])
        self.states: Tensor | None = None

    def attach(self, backbone: Backbone, seen: int) -> list["RemovableHandle"]:
        """Hook a pass whose first token stands at position `seen`."""

        def keep(_: nn.Module, args: tuple[Tensor]) -> None:
            last = (self.last - seen).to(args[0].device)
            self.states = args[0][torch.arange(len(last), device=last.device), last]
            raise LayerReachedError

        module = attention_output_of(backbone, self.block)
        return [module.register_forward_pre_hook(keep)]


class ContrastiveSubtraction:
    """Contrastive Prompting for one batch (Cheng et al., ACL 2025).

    The last token's attention output v at the block becomes strength * (v - other), or that
    brought to the length of v.
    """

    def __init__(
        self, rule: ContrastRules, block: int, rows: Sequence[TokenizedText], other: Tensor
    ) -> None:
        self.rule, self.block, self.other = rule, block, other
        self.last = torch.tensor([len(row.ids) - 1 for row in rows])

    def attach(self, backbone: Backbone, seen: int) -> list["RemovableHandle"]:
        """Hook a pass whose first token stands at position `seen`."""

        def change(_: nn.Module, args: tuple[Tensor]) -> tuple[Tensor]:
            last = (self.last - seen).to(args[0].device)
            row = torch.arange(len(last), device=last.device)
            states = args[0].clone()
            states[row, last] = contrasted(states[row, last], self.other, self.rule)
            return (states,)

        module = attention_output_of(backbone, self.block)
        return [module.register_forward_pre_hook(change)]


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


def prepend_blocks(rule: PrependingRules, backbone: Backbone) -> range:
    """Return the blocks of a rule in a model, or say that the first does not exist."""
    depth = len(backbone.layers)
    if rule.start >= depth:
        raise ValueError(
            f"prepend.start {rule.start} does not exist: the model has {depth} blocks, "
            f"counted from 0"
        )
    # As in the published program, an exit beyond the last block means the last.
    last = min(at_depth(rule.exit, depth), depth)
    return range(rule.start, max(last, rule.start + 1))


def contrast_block(rule: ContrastRules, backbone: Backbone) -> int:
    """Return the block of a rule in a model, or say that it does not exist."""
    depth = len(backbone.layers)
    block = at_depth(rule.block, depth)
    if not 0 <= block < depth:
        raise ValueError(
            f"contrast.block {rule.block} does not exist: the model has {depth} blocks"
        )
    attention_output_of(backbone, block)  # looked for while nothing is hooked
    return block


def attention_output_of(backbone: Backbone, block: int) -> nn.Module:
    """Return the attention output projection of a block, found once."""
    if block not in backbone.attention_outputs:
        backbone.attention_outputs[block] = attention_output(backbone.model, block)
    return backbone.attention_outputs[block]
