"""Token Prepending: a text's own state takes the place of a placeholder before it, as hooks.

Fu et al., ACL 2025; hierarchical, with a placeholder for each sentence: HTP, ACL 2026.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from embedder.inputs.tokenized import TokenizedText
from embedder.models.anatomy import before_block, embedding_scale
from embedder.models.backbone import Backbone
from embedder.prompts.method_rules import PrependingRules
from embedder.prompts.readout_rules import at_depth


class TokenPrepending:
    """Token Prepending for one batch.

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
        self.backbone = backbone
        self.blocks = prepend_blocks(rule, backbone)
        self.placeholder = placeholder
        pairs = [(row, *pair) for row, text in enumerate(rows) for pair in text.state_copies]
        self.pairs = torch.tensor(pairs, dtype=torch.int64, device=backbone.device).reshape(-1, 3)

    def attach(self, seen: int) -> list[RemovableHandle]:
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
            *self._embed(),
            *(before_block(self.backbone.layers, block, copy) for block in self.blocks),
        ]

    def _embed(self) -> list[RemovableHandle]:
        table = self.backbone.model.get_input_embeddings()
        vector = self.backbone.placeholder_row * embedding_scale(table)
        masks: list[Tensor] = []

        def hide(_: nn.Module, args: tuple[Tensor]) -> tuple[Tensor]:
            masks.append(args[0] == self.placeholder)
            return (args[0].masked_fill(masks[-1], 0),)  # the id may lie outside the table

        def show(_: nn.Module, __: object, states: Tensor) -> Tensor:
            return torch.where(masks.pop()[..., None], vector.to(states), states)

        return [table.register_forward_pre_hook(hide), table.register_forward_hook(show)]


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
