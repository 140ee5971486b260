"""Soft tokens beside the rows of a batch: embedded, and read at each row's last token."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from embedder.locks import lock_of
from embedder.models.anatomy import last_token_outputs
from embedder.models.backbone import Backbone
from embedder.models.batching import right_pad
from embedder.models.pooling import read_states


@dataclass(frozen=True, slots=True, eq=False)
class SoftTokens:
    """Vectors that are fed among the embeddings of tokens.

    Attributes:
        vectors: (experts, m, dim) or (m, dim).
        router: (dim, experts) weighs experts by the mean input embedding of a row.
        places: for each row how many tokens stand before them; None is a leading BOS, if any.
    """

    vectors: Tensor
    router: Tensor | None = None
    places: Sequence[int] | None = None


def soft_states(
    backbone: Backbone, ids: Sequence[Sequence[int]], soft: SoftTokens | None
) -> Tensor:
    """Read states at last tokens, at the top, with soft tokens in each row; differentiable.

    Args:
        backbone: of a causal LM with `base_model` and `lm_head`.
        ids: token ids of each row.
        soft: what is fed beside them.

    Returns:
        (n, dim) states.
    """
    inputs, last = _embedded(backbone, ids, soft)
    with lock_of(backbone.model):
        states = backbone.model.base_model(**inputs).last_hidden_state
    return read_states(states, last, None, 0)


def soft_logits(
    backbone: Backbone, ids: Sequence[Sequence[int]], soft: SoftTokens | None
) -> tuple[Tensor, Tensor]:
    """Read states as `soft_states` does, and the logits that the model gives there.

    Returns:
        (n, dim) states and (n, vocab) logits.
    """
    inputs, last = _embedded(backbone, ids, soft)
    backbone.check_head()
    return last_token_outputs(backbone.model, inputs, last)


def _embedded(
    backbone: Backbone, ids: Sequence[Sequence[int]], soft: SoftTokens | None
) -> tuple[dict[str, Any], Tensor]:
    """Return what the model is called with, padded on the right, and where each row ends."""
    table = backbone.model.get_input_embeddings()
    device = table.weight.device
    padded, last = map(torch.from_numpy, right_pad(ids))
    mask = (torch.arange(padded.shape[1]) <= last[:, None]).long().to(device)
    with lock_of(backbone.model):
        embedded = table(padded.to(device))
    if soft is not None:
        vectors = soft.vectors.to(device, embedded.dtype)
        vectors = vectors[None] if vectors.dim() == 2 else vectors
        if soft.router is not None:
            mean = (embedded * mask[:, :, None]).sum(1) / mask.sum(1, keepdim=True)
            shares = torch.softmax(mean @ soft.router.to(device, embedded.dtype), dim=1)
            vectors = torch.einsum("ne,emd->nmd", shares, vectors)
        else:
            vectors = vectors[0].expand(len(ids), -1, -1)
        bos = backbone.tokenizer.bos_token_id
        places = soft.places or [int(bos is not None and row[0] == bos) for row in ids]
        embedded = _inserted(embedded, vectors, torch.tensor(places, device=device))
        mask = torch.cat([mask.new_ones(len(ids), vectors.shape[1]), mask], dim=1)
    inputs = {"inputs_embeds": embedded, "attention_mask": mask, "use_cache": False}
    return inputs, mask.sum(1) - 1


def _inserted(embedded: Tensor, vectors: Tensor, places: Tensor) -> Tensor:
    """Insert (n, m, dim) vectors into (n, length, dim) rows, each at its own place."""
    length, count = embedded.shape[1], vectors.shape[1]
    at = torch.arange(length + count, device=embedded.device)[None]
    first = places[:, None]
    behind = at >= first + count
    source = torch.where(at < first, at, torch.where(behind, at - count, length + at - first))
    joined = torch.cat([embedded, vectors], dim=1)
    return joined.gather(1, source[:, :, None].expand(-1, -1, embedded.shape[2]))
