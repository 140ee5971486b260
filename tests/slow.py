"""Read texts on the slow reference, by a prompt's rules, from the tokens an encoder feeds."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from embedder.encoders.llm import LLMEncoder
from embedder.inputs.tokenized import TokenizedText
from embedder.models.backbone import Backbone
from embedder.models.loading import LLMOptions, load_backbone
from embedder.prompts.method_rules import ContrastRules, PrependingRules
from embedder.prompts.prompt import Prompt
from embedder.prompts.readout_rules import ReadoutRules
from embedder.types import Role
from tests import oracle
from tests.shapes import DEPTH

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from embedder.inputs.tokenized import ModelInput

OPTIONS = LLMOptions(dtype="float32", device="cpu")
TOLERANCE = 1e-5  # of a row's largest entry
TEXTS = [
    "Magma rises. The lava flows down! Is it cold in winter?",
    "volcano",
    'Don\'t panic: "l\u0027eau" est froide, \u00e9t\u00e9 comme hiver \u2014 \u6771\u4eac',
]


@dataclass(frozen=True)
class Pair:
    """One model, loaded twice: as lastword runs it, and as it is written in its own file."""

    backbone: Backbone
    model: "PreTrainedModel"
    options: LLMOptions

    @staticmethod
    def load(folder: Path) -> "Pair":
        backbone, options = load_backbone(folder, OPTIONS)
        return Pair(backbone, oracle.load(folder), options)

    def encoder(self, prompt: Prompt) -> LLMEncoder:
        return LLMEncoder(self.backbone, prompt, self.options)

    def wanted(
        self,
        encoder: LLMEncoder,
        texts: Sequence[str],
        role: Role,
        padding: oracle.Padding = "left",
    ) -> NDArray[np.float32]:
        """Read each wording apart and average them, (n, dim)."""
        fed, prompt = [encoder.fed(text, role) for text in texts], encoder.prompt
        worded = [self._worded(prompt, fed, at, padding) for at in range(len(fed[0].wordings))]
        averaged: NDArray[np.float32] = torch.stack(worded).mean(0).numpy()
        return averaged

    def _worded(
        self, prompt: Prompt, fed: Sequence["ModelInput"], at: int, padding: oracle.Padding
    ) -> Tensor:
        rows, reading = [one.wordings[at] for one in fed], prompt.reading
        layer = -1 if reading.pool == "max" else _layer(reading.layer)
        others = [one.auxiliary.ids for one in fed if one.auxiliary is not None]
        with _contrasting(self.model, prompt.contrast, [row.ids for row in rows], others, padding):
            states = self._states(prompt, rows, layer, padding)
        pooled = torch.stack(
            [self._pooled(one, row, reading) for one, row in zip(states, rows, strict=True)]
        )
        return pooled if prompt.filter is None else self._filtered(pooled, prompt.filter)

    def _states(
        self, prompt: Prompt, rows: Sequence[TokenizedText], layer: int, padding: oracle.Padding
    ) -> list[Tensor]:
        ids = [row.ids for row in rows]
        if prompt.reading.attention == "bidirectional":
            return oracle.bidirectional(self.model, ids, layer, padding)
        if prompt.prepend is None:
            return oracle.states(self.model, ids, layer, padding)
        first, end = _blocks(prompt.prepend)
        plan = oracle.Copying(
            [row.state_copies for row in rows], first, end, self.backbone.placeholder_row
        )
        return oracle.prepended(self.model, ids, layer, plan, padding)

    def _pooled(self, states: Tensor, row: TokenizedText, reading: ReadoutRules) -> Tensor:
        """Turn the states of one row, (len, dim), into what is read of it."""
        span = list(range(len(row.ids)))
        if reading.span != "prompt":
            slot = row.text_spans[1 if reading.span == "copy" else 0]
            span = [at for stretch in slot for at in stretch]
        if reading.pool == "max":  # what is said of a token is said one token before it
            span = [at - 1 for at in span if at]
        if not span and reading.span == "copy":  # of a copy that has none: zeros, or the first
            span, states = [0], states if reading.pool == "last" else torch.zeros_like(states)
        read = states[span or [-1]]  # the last token stands for a text that has none
        if reading.pool == "max":
            return torch.log(1 + torch.relu(self._logits(read))).amax(0)
        return read.mean(0) if reading.pool == "mean" else read[-1]

    def _logits(self, states: Tensor) -> Tensor:
        head, config = self.model.get_output_embeddings(), self.model.config
        with torch.no_grad():
            logits: Tensor = head(states)
        cap = getattr(config, "final_logit_softcapping", None)
        return cap * torch.tanh(logits / cap) if cap else logits

    def _filtered(self, states: Tensor, rule: Any) -> Tensor:  # noqa: ANN401
        head = self.model.get_output_embeddings().weight.detach().double().numpy()
        directions = np.linalg.svd(head)[2]  # (dim, dim), one per row, strongest first
        start, end = rule.span(head.shape[1])
        kept = directions[start:end]
        strongest = np.abs(kept).argmax(1)
        kept = kept * np.sign(kept[np.arange(len(kept)), strongest])[:, None]
        return states @ torch.from_numpy(kept.T.copy()).float()


def _layer(layer: int | float) -> int:
    return round(layer * DEPTH) if isinstance(layer, float) else layer


def _blocks(rule: PrependingRules) -> tuple[int, int]:
    """Give first block and end; a fraction of few blocks leaves one at least."""
    end = round(rule.exit * DEPTH) if isinstance(rule.exit, float) else rule.exit
    return rule.start, max(end, rule.start + 1)


@contextmanager
def _contrasting(
    model: "PreTrainedModel",
    rule: ContrastRules | None,
    rows: oracle.Rows,
    others: oracle.Rows,
    padding: oracle.Padding,
) -> Iterator[None]:
    """Change the last token's concatenated heads in all passes made inside."""
    if rule is None:
        yield
        return
    block = round(rule.block * DEPTH) if isinstance(rule.block, float) else rule.block
    stack = oracle.BLOCKS.get(model.config.model_type, "model.layers")
    inside = oracle.PROJECTIONS.get(model.config.model_type, "self_attn.o_proj")
    projection = model.get_submodule(f"{stack}.{block}.{inside}")
    every, seen = range(len(rows)), []

    def keep(_: nn.Module, args: tuple[Tensor, ...]) -> None:
        seen.append(args[0][every, _last(others, padding)].clone())

    def change(_: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor]:
        heads = args[0].clone()
        normal = heads[every, _last(rows, padding)]
        difference = normal - seen[0]
        if rule.restore:
            difference *= normal.norm(dim=-1, keepdim=True) / difference.norm(dim=-1, keepdim=True)
        heads[every, _last(rows, padding)] = rule.strength * difference
        return (heads,)

    handle = projection.register_forward_pre_hook(keep)
    oracle.states(model, others, -1, padding)
    handle.remove()
    handle = projection.register_forward_pre_hook(change)
    try:
        yield
    finally:
        handle.remove()


def _last(rows: oracle.Rows, padding: oracle.Padding) -> list[int]:
    width = max(map(len, rows))
    return [width - 1 if padding == "left" else len(row) - 1 for row in rows]


def far(got: NDArray[np.float32], want: NDArray[np.float32]) -> float:
    """Give the largest difference of two (n, dim), relative to each row's largest entry.

    Rows that shall be zeros are compared as they are.
    """
    largest = np.abs(want).max(1)
    return float((np.abs(got - want).max(1) / np.where(largest == 0, 1, largest)).max())
