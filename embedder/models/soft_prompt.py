"""Soft tokens before the rows of a batch: embedded, and read at each row's last token."""

from collections.abc import Sequence

import torch
from torch import Tensor

from embedder.locks import lock_of
from embedder.models.anatomy import last_token_outputs
from embedder.models.backbone import Backbone
from embedder.models.batching import right_pad


def soft_states(
    backbone: Backbone,
    ids: Sequence[Sequence[int]],
    soft: Tensor | None,
    router: Tensor | None = None,
) -> Tensor:
    """Read states at last tokens, at the top, with soft tokens before each row; differentiable.

    Args:
        backbone: of a causal LM with `base_model` and `lm_head`.
        ids: token ids of each row; a leading BOS stays in front.
        soft: (experts, m, dim) or (m, dim), or None.
        router: (dim, experts), see QueryAdapter.

    Returns:
        (n, dim) states.
    """
    embedded, mask = _embedded(backbone, ids, soft, router)
    with lock_of(backbone.model):
        base = backbone.model.base_model(
            inputs_embeds=embedded, attention_mask=mask, use_cache=False
        )
    rows = torch.arange(len(ids), device=embedded.device)
    states: Tensor = base.last_hidden_state[rows, mask.sum(1) - 1]
    return states


def soft_logits(
    backbone: Backbone,
    ids: Sequence[Sequence[int]],
    soft: Tensor | None,
    router: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Read states as `soft_states` does, and the logits that the model gives there.

    Returns:
        (n, dim) states and (n, vocab) logits.
    """
    embedded, mask = _embedded(backbone, ids, soft, router)
    backbone.check_head()
    inputs = {"inputs_embeds": embedded, "attention_mask": mask, "use_cache": False}
    return last_token_outputs(backbone.model, inputs, mask.sum(1) - 1)


def _embedded(
    backbone: Backbone,
    ids: Sequence[Sequence[int]],
    soft: Tensor | None,
    router: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """Return (n, length, dim) input embeddings, padded on the right, and their mask."""
    table = backbone.model.get_input_embeddings()
    device = table.weight.device
    padded, last = map(torch.from_numpy, right_pad(ids))
    mask = (torch.arange(padded.shape[1]) <= last[:, None]).long().to(device)
    with lock_of(backbone.model):
        embedded = table(padded.to(device))
    if soft is None:
        return embedded, mask
    put = soft.to(device, embedded.dtype)
    put = put[None] if put.dim() == 2 else put
    if router is not None:
        mean = (embedded * mask[:, :, None]).sum(1) / mask.sum(1, keepdim=True)
        shares = torch.softmax(mean @ router.to(device, embedded.dtype), dim=1)
        put = torch.einsum("ne,emd->nmd", shares, put)
    else:
        put = put[0].expand(len(ids), -1, -1)
    bos = backbone.tokenizer.bos_token_id
    head = 1 if bos is not None and all(row[0] == bos for row in ids) else 0
    embedded = torch.cat([embedded[:, :head], put, embedded[:, head:]], dim=1)
    ones = mask.new_ones(len(ids), put.shape[1])
    mask = torch.cat([mask[:, :head], ones, mask[:, head:]], dim=1)
    return embedded, mask
