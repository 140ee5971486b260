"""Read states the slow, obvious way, whole rows and no cache: what the engine must equal.

Written from the descriptions of the methods alone and meant to be checked by eye. Each row is
padded to the longest, on the side asked for; a row given alone has no padding. Layers are numbered
as transformers numbers `hidden_states`: 0 is the input of the first block, i the output of block
i - 1 (counted from 0), the last one (-1) the state after the final norm.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Rows = Sequence[Sequence[int]]
Padding = Literal["left", "right"]

# Where the blocks are, and inside a block the projection of the concatenated heads.
BLOCKS = {"gpt2": "transformer.h", "gpt_neox": "gpt_neox.layers", "opt": "model.decoder.layers"}
PROJECTIONS = {
    "gpt2": "attn.c_proj",
    "gpt_neox": "attention.dense",
    "opt": "self_attn.out_proj",
}


@dataclass(frozen=True)
class Copying:
    """Copies of states before the blocks start <= i < exit (0-based).

    Attributes:
        pairs: per row, (source, target) positions; all sources are read before any target is
            written. The targets are placeholders.
        start: first block before which states are copied.
        exit: first block before which they no longer are.
        vector: the placeholders' row of the embedding table.
    """

    pairs: Sequence[Sequence[tuple[int, int]]]
    start: int
    exit: int
    vector: Tensor


@dataclass(frozen=True)
class Contrast:
    """What is subtracted, where, and how the difference is scaled.

    Attributes:
        rows: the auxiliary prompts, one per row.
        block: 0-based block whose attention is changed.
        strength: factor of the difference, without `restore`.
        restore: give the difference the norm of the normal value instead.
    """

    rows: Rows
    block: int
    strength: float = 1.0
    restore: bool = False


def load(folder: Path) -> "PreTrainedModel":
    """Load a model in float32 with the attention that is written out in its own file."""
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager"
    ).eval()


def states(
    model: "PreTrainedModel", rows: Rows, layer: int, padding: Padding = "left"
) -> list[Tensor]:
    """Return hidden_states[layer] of each row at its own tokens, (len, dim) each."""
    batch = _batch(rows, padding)
    return batch.own(_run(model, batch, batch.mask)[layer])


def bidirectional(
    model: "PreTrainedModel", rows: Rows, layer: int, padding: Padding = "left"
) -> list[Tensor]:
    """As `states`, but each token attends to all of its row, windows or not."""
    batch = _batch(rows, padding)
    width = batch.ids.shape[1]
    # One line per key: 0 for the row's own, the lowest number for padding; the same for every
    # query, (n, 1, width, width). Transformers adds a mask of four dimensions as it is.
    added = (1.0 - batch.mask[:, None, None, :]) * torch.finfo(torch.float32).min
    return batch.own(_run(model, batch, added.expand(-1, 1, width, width))[layer])


def prepended(
    model: "PreTrainedModel", rows: Rows, layer: int, plan: Copying, padding: Padding = "left"
) -> list[Tensor]:
    """Token Prepending (Fu et al., ACL 2025) or its hierarchical form (HTP, ACL 2026).

    An entry of hidden_states that is the input of a block shows the copies made before that block.
    The ids given at the placeholders do not matter.
    """
    batch = _batch(rows, padding)
    row, source, target = batch.columns(plan.pairs)

    def copy(_: nn.Module, args: tuple[Tensor, ...]) -> None:
        args[0][row, target] = args[0][row, source]  # (n, width, dim), in place as published

    with _longer_table(model, plan.vector) as placeholder:
        batch.ids[row, target] = placeholder
        blocks = [_block(model, i) for i in range(plan.start, plan.exit)]
        with _before(blocks, copy):
            return batch.own(_run(model, batch, batch.mask)[layer])


def contrasted(
    model: "PreTrainedModel", rows: Rows, layer: int, plan: Contrast, padding: Padding = "left"
) -> list[Tensor]:
    """Contrastive Prompting (Cheng et al., ACL 2025) at each row's last token."""
    block = _block(model, plan.block)
    projection = block.get_submodule(PROJECTIONS.get(model.config.model_type, "self_attn.o_proj"))
    every = range(len(rows))
    batch, other = _batch(rows, padding), _batch(plan.rows, padding)
    seen: list[Tensor] = []

    def keep(_: nn.Module, args: tuple[Tensor, ...]) -> None:
        seen.append(args[0][every, other.last].clone())

    def change(_: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor]:
        heads = args[0].clone()  # (n, width, heads * head size)
        normal = heads[every, batch.last]
        difference = normal - seen[0]
        if plan.restore:
            norm = difference.norm(dim=-1, keepdim=True) + 1e-7
            heads[every, batch.last] = difference * normal.norm(dim=-1, keepdim=True) / norm
        else:
            heads[every, batch.last] = plan.strength * difference
        return (heads,)

    with _before([projection], keep):
        _run(model, other, other.mask)
    with _before([projection], change):
        return batch.own(_run(model, batch, batch.mask)[layer])


def from_last(rows: Rows, placeholders: Sequence[Sequence[int]]) -> list[list[tuple[int, int]]]:
    """Pair each row's last position with each of its placeholders: plain Token Prepending."""
    return [
        [(len(row) - 1, place) for place in places]
        for row, places in zip(rows, placeholders, strict=True)
    ]


@dataclass(frozen=True)
class _Batch:
    """Padded rows: ids and mask (n, width) int64, and the column where each row begins."""

    ids: Tensor
    mask: Tensor
    first: list[int]
    lengths: list[int]

    @property
    def last(self) -> list[int]:
        return [start + length - 1 for start, length in zip(self.first, self.lengths, strict=True)]

    def own(self, hidden: Tensor) -> list[Tensor]:
        return [
            hidden[i, start : start + length]
            for i, (start, length) in enumerate(zip(self.first, self.lengths, strict=True))
        ]

    def columns(
        self, pairs: Sequence[Sequence[tuple[int, int]]]
    ) -> tuple[list[int], list[int], list[int]]:
        """Give rows, source columns and target columns of all pairs."""
        found = [
            (i, start + source, start + target)
            for i, (start, of_row) in enumerate(zip(self.first, pairs, strict=True))
            for source, target in of_row
        ]
        return [i for i, _, _ in found], [s for _, s, _ in found], [t for _, _, t in found]


def _batch(rows: Rows, padding: Padding) -> _Batch:
    lengths = [len(row) for row in rows]
    width = max(lengths)
    first = [width - length if padding == "left" else 0 for length in lengths]
    ids, mask = torch.zeros(len(rows), width, dtype=torch.int64), torch.zeros(len(rows), width)
    for i, row in enumerate(rows):
        own = slice(first[i], first[i] + lengths[i])
        ids[i, own] = torch.tensor(row)
        mask[i, own] = 1
    return _Batch(ids, mask.long(), first, lengths)


def _run(model: "PreTrainedModel", batch: _Batch, mask: Tensor) -> tuple[Tensor, ...]:
    positions = (batch.mask.cumsum(1) - 1).clamp(min=0)  # 0, 1, ... from each row's first token
    with torch.no_grad():
        out = model(
            input_ids=batch.ids,
            attention_mask=mask,
            position_ids=positions,
            use_cache=False,
            output_hidden_states=True,
        )
    hidden: tuple[Tensor, ...] = out.hidden_states
    return hidden


def _block(model: "PreTrainedModel", block: int) -> nn.Module:
    stack = BLOCKS.get(model.config.model_type, "model.layers")
    found: nn.Module = model.get_submodule(f"{stack}.{block}")
    return found


@contextmanager
def _before(
    modules: Sequence[nn.Module], act: Callable[..., tuple[Tensor] | None]
) -> Iterator[None]:
    handles = [module.register_forward_pre_hook(act) for module in modules]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def _longer_table(model: "PreTrainedModel", vector: Tensor) -> Iterator[int]:
    """Add a row to the embedding table for a while; give its id."""
    table = model.get_input_embeddings()
    weight = table.weight
    table.weight = nn.Parameter(torch.cat([weight, vector[None].to(weight)]).detach())
    try:
        yield len(weight)
    finally:
        table.weight = weight
