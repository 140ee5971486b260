"""Attention in blocks of tokens, for bfloat16 on processors.

PyTorch's fused kernel multiplies bfloat16 no faster than float32 on processors without AMX: of a
pass over texts of 200 tokens it took a fifth of the time. Here both products of attention are
matrix multiplications like those with the model's weights, and keys after a block's last token,
which are half of all, are left out.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

if TYPE_CHECKING:
    from transformers import PreTrainedModel

NAME = "lastword_blocks"
BLOCK = 64  # tokens; with 32 and 128 attention took 1.1 times as long, with whole texts twice
ROOM = 1 << 19  # scores at a time: 2 MB, which stay in a core's cache


@dataclass(frozen=True, slots=True, eq=False)
class BlockMask:
    """What is added to scores, and the keys that each block of tokens needs.

    Attributes:
        bias: (n or 1, 1, length, seen) float32; the lowest number hides a key.
        blocks: tokens of each block, and how many keys come before and in it.
    """

    bias: Tensor
    blocks: tuple[tuple[slice, int], ...]


_MASKS = WeakTensorKeyDictionary()  # all layers of a pass share one mask


def attend_by_blocks(model: "PreTrainedModel") -> bool:
    """Let a model in bfloat16 on a processor attend in blocks; tells whether it will.

    A model whose attention is not PyTorch's own, called the way of transformers, stays as it is.
    """
    from transformers import AttentionInterface, AttentionMaskInterface

    fits = model.device.type == "cpu" and model.dtype == torch.bfloat16
    plain = model.config._attn_implementation == "sdpa" and model._supports_attention_backend
    if not fits or not plain:
        return False
    AttentionInterface.register(NAME, attend)
    AttentionMaskInterface.register(NAME, make_mask)
    model.set_attn_implementation(NAME)
    return True


def make_mask(**wanted: Any) -> Tensor:  # noqa: ANN401  (what transformers says of a mask)
    """Make a mask (n or 1, 1, length, seen) that is True where a key is seen."""
    from transformers.masking_utils import sdpa_mask

    mask: Tensor = sdpa_mask(**{**wanted, "allow_is_causal_skip": False})
    return mask


def attend(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    **rest: Any,  # noqa: ANN401  (whatever a model says to its attention)
) -> tuple[Tensor, None]:
    """Attend, called as models of transformers do; PyTorch's own attention does what is unusual.

    Args:
        module: the attention of a decoder block.
        query: (n, heads, length, dim).
        key: (n, key heads, seen, dim); heads / key heads heads in a row share each.
        value: (n, key heads, seen, value dim).
        attention_mask: (n or 1, 1, length, seen), bool, or a bias of 0 where a key is seen.
        scaling: of the scores; 1 / sqrt(dim) by default.
        rest: as in transformers.

    Returns:
        (n, length, heads, value dim), and no weights.
    """
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    plain = attention_mask is not None and attention_mask.shape[1] == 1
    unusual = any(rest.get(name) is not None for name in ("softcap", "position_bias", "cache"))
    if torch.is_grad_enabled() or query.shape[2] == 1 or unusual or not plain:
        whole: tuple[Tensor, None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, scaling=scaling, **rest
        )
        return whole
    assert attention_mask is not None
    if attention_mask not in _MASKS:
        _MASKS[attention_mask] = block_mask(attention_mask)
    scale = query.shape[3] ** -0.5 if scaling is None else scaling
    return attend_in_blocks(query, key, value, _MASKS[attention_mask], scale), None


def block_mask(mask: Tensor) -> BlockMask:
    """Turn a mask (n or 1, 1, length, seen), bool or additive, into bias and blocks."""
    # Not -inf: a padding token that sees nothing would become NaN, and spoil what sees it.
    lowest = torch.finfo(torch.float32).min
    seen = mask if mask.dtype == torch.bool else mask > torch.finfo(mask.dtype).min
    bias = torch.zeros(mask.shape) if mask.dtype == torch.bool else mask.float()
    ends = torch.arange(1, mask.shape[3] + 1).mul(seen.any(0)[0]).amax(1).tolist()
    # A token that sees nothing gets the mean of its keys, so that it needs one at least.
    starts = range(0, mask.shape[2], BLOCK)
    blocks = tuple((slice(at, at + BLOCK), max(1, *ends[at : at + BLOCK])) for at in starts)
    return BlockMask(bias.masked_fill(~seen, lowest), blocks)


def attend_in_blocks(
    query: Tensor, key: Tensor, value: Tensor, mask: BlockMask, scale: float
) -> Tensor:
    """Return softmax(scale * query key^T + bias) value, (n, length, heads, value dim).

    Args:
        query: (n, heads, length, dim).
        key: (n, key heads, seen, dim).
        value: (n, key heads, seen, value dim).
        mask: of the n rows, or one for all.
        scale: of the scores, which are float32 from there to their softmax.
    """
    n, heads, length, dim = query.shape
    seen, value_dim = value.shape[2:]
    output = query.new_empty(n, length, heads, value_dim)
    step = max(1, ROOM // (heads * min(length, BLOCK) * seen))
    for start in range(0, n, step):
        rows = slice(start, start + step)
        keys = key[rows].reshape(-1, seen, dim).transpose(1, 2)
        values = value[rows].reshape(-1, seen, value_dim)
        bias = mask.bias if len(mask.bias) == 1 else mask.bias[rows]
        for tokens, end in mask.blocks:
            queries = query[rows, :, tokens]
            shape = queries.shape[:3]  # rows, heads, tokens
            # Heads that share keys become rows of one product.
            products = torch.bmm(queries.reshape(len(keys), -1, dim), keys[:, :, :end])
            scores = products.view(*shape, end).float().mul_(scale)
            scores += bias[:, :, tokens, :end]
            weights = torch.softmax(scores, dim=-1).to(values.dtype).view(len(keys), -1, end)
            pooled = torch.bmm(weights, values[:, :end]).view(*shape, value_dim)
            output[rows, tokens] = pooled.transpose(1, 2)
    return output
