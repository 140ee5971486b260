"""Soft tokens before the rows of a batch: embedded, and read at each row's last token."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from embedder.locks import lock_of
from embedder.models.anatomy import last_token_outputs
from embedder.models.backbone import Backbone
from embedder.models.batching import right_pad
from embedder.models.pooling import read_states


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
    inputs, last = _embedded(backbone, ids, soft, router)
    with lock_of(backbone.model):
        states = backbone.model.base_model(**inputs).last_hidden_state
    return read_states(states, last, None, 0)


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
    inputs, last = _embedded(backbone, ids, soft, router)
    backbone.check_head()
    return last_token_outputs(backbone.model, inputs, last)


def _embedded(
    backbone: Backbone,
    ids: Sequence[Sequence[int]],
    soft: Tensor | None,
    router: Tensor | None,
) -> tuple[dict[str, Any], Tensor]:
    """Return what the model is called with, padded on the right, and where each row ends."""
    table = backbone.model.get_input_embeddings()
    device = table.weight.device
    padded, last = map(torch.from_numpy, right_pad(ids))
    mask = (torch.arange(padded.shape[1]) <= last[:, None]).long().to(device)
    with lock_of(backbone.model):
        embedded = table(padded.to(device))
    if soft is not None:
        vectors = soft.to(device, embedded.dtype)
        vectors = vectors[None] if vectors.dim() == 2 else vectors
        if router is not None:
            mean = (embedded * mask[:, :, None]).sum(1) / mask.sum(1, keepdim=True)
            shares = torch.softmax(mean @ router.to(device, embedded.dtype), dim=1)
            vectors = torch.einsum("ne,emd->nmd", shares, vectors)
        else:
            vectors = vectors[0].expand(len(ids), -1, -1)
        bos = backbone.tokenizer.bos_token_id
        head = 1 if bos is not None and all(row[0] == bos for row in ids) else 0
        embedded = torch.cat([embedded[:, :head], vectors, embedded[:, head:]], dim=1)
        mask = torch.cat([mask.new_ones(len(ids), vectors.shape[1]), mask], dim=1)
    inputs = {"inputs_embeds": embedded, "attention_mask": mask, "use_cache": False}
    return inputs, mask.sum(1) - 1
