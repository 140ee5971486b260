"""SCSP: the mean over the tokens of a text that a summary of it attends to most, chunk by chunk.

After each chunk of whole sentences the model is asked for a summary. An ask sees its own chunk and
itself, the text sees no ask, so that the text is read once and the asks are answered from its keys
and values ("SCSP", 2026).
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from transformers import DynamicCache

from embedder.inputs.tokenized import TokenizedText
from embedder.locks import lock_of
from embedder.models.backbone import Backbone
from embedder.models.batching import plan
from embedder.models.pooling import KeepStates, TokenPooling, span_positions
from embedder.models.request import ReadRequest
from embedder.prompts.method_rules import SelectionRules
from embedder.prompts.readout_rules import ReadoutRules

if TYPE_CHECKING:
    from transformers import PreTrainedModel

TokenSpan = tuple[int, int]  # [start, end) in positions of a cache


def read_selected(
    backbone: Backbone,
    prefix: tuple[int, ...],
    row: TokenizedText,
    reading: ReadoutRules,
    rule: SelectionRules,
) -> Tensor:
    """Read one text, ask for a summary after each of its chunks, and average what was looked at.

    Args:
        backbone: the model.
        prefix: ids that the row begins with and that are computed apart; may be empty.
        row: the text in its wording, with its chunks.
        reading: layer, norm and span of the states that are averaged.
        rule: the ask, and how much attention is enough.

    Returns:
        (1, dim) float32; the last token's state where the text has no tokens.
    """
    keeper = KeepStates()
    # Logits are asked for so that all blocks run: every layer's attention is looked at.
    request = ReadRequest(reading.layer, norm=reading.norm, pooling=keeper)
    step = backbone.read(prefix, [row.ids[len(prefix) :]], request, keep_cache=True)
    if step.cache is None or keeper.states is None or step.hidden is None:
        raise ValueError("[select] needs a model whose keys and values can be kept")
    if not row.chunks:
        return step.hidden.float()
    with lock_of(backbone.tokenizer):
        ask = backbone.tokenizer(rule.ask, add_special_tokens=False, verbose=False).input_ids
    chunks = [(chunk.start, chunk.stop) for chunk in row.chunks]
    chosen = select_tokens(backbone.model, step.cache, chunks, ask, rule).numpy()
    span = span_positions(row, reading)
    positions = span[chosen[span]]
    return (
        TokenPooling(np.zeros(len(positions), np.int64), positions)
        .mean_pool(keeper.states, keeper.seen)
        .float()
    )


def select_tokens(
    model: "PreTrainedModel",
    cache: DynamicCache,
    chunks: Sequence[TokenSpan],
    ask_ids: Sequence[int],
    rule: SelectionRules,
) -> Tensor:
    """Tell which tokens of one text are kept; see `token_importance` for the arguments and errors.

    A chunk in which no token is important enough keeps its most important one.

    Returns:
        (length,) bool on the CPU, length being the positions of the cache; outside chunks False.
    """
    keep = torch.zeros(cache.get_seq_length(), dtype=torch.bool)
    importance = token_importance(model, cache, chunks, ask_ids)
    for (start, end), weights in zip(chunks, importance, strict=True):
        keep[start:end] |= weights > rule.alpha / (end - start)
        keep[start + int(weights.argmax())] = True  # the strongest passes wherever any passes
    return keep


def token_importance(
    model: "PreTrainedModel",
    cache: DynamicCache,
    chunks: Sequence[TokenSpan],
    ask_ids: Sequence[int],
) -> list[Tensor]:
    """Measure how much the last token of an ask after each chunk looks at each token of the chunk.

    That is the largest attention over all layers and heads, scaled to a sum of 1 in each chunk.
    The ask takes the positions after its chunk. The cache stays as it is.

    Args:
        model: a causal LM whose attention can be switched to the implementation "eager", the only
            one that tells its weights; it is switched back.
        cache: keys and values of ONE text read causally, all positions kept in every layer.
        chunks: where the text's chunks lie; non-empty.
        ask_ids: the tokens of the ask, without specials; non-empty.

    Returns:
        For each chunk (end - start,) float32 on the CPU.

    Raises:
        ValueError: a chunk lies outside the cache, the ask is empty, the cache is of several texts
            or lacks positions, or the model does not tell its attention.
    """
    _check(cache, chunks, ask_ids)
    importance: dict[int, Tensor] = {}
    with lock_of(model), torch.inference_mode(), _telling(model):
        # No batch takes more memory than the text itself.
        for batch in plan([end - start for start, end in chunks], 0, cache.get_seq_length()):
            spans = [chunks[position] for position in batch]
            importance |= zip(batch.tolist(), _ask(model, cache, spans, ask_ids), strict=True)
    return [importance[position] for position in range(len(chunks))]


def _ask(
    model: "PreTrainedModel",
    cache: DynamicCache,
    spans: Sequence[TokenSpan],
    ask_ids: Sequence[int],
) -> Iterator[Tensor]:
    """Put the ask after each of some chunks and yield the chunk's weights."""
    longest = max(end - start for start, end in spans)
    device = model.get_input_embeddings().weight.device
    ids = torch.tensor([list(ask_ids)] * len(spans), device=device)  # (n, ask)
    ends = torch.tensor([end for _, end in spans], device=device)
    own = torch.tensor([end - start for start, end in spans], device=device)
    # Chunks are padded on the left: every distance between chunk and ask, which is what sliding
    # windows go by, stays true.
    places = torch.arange(longest + len(ask_ids), device=device)
    out = model.base_model(
        input_ids=ids,
        attention_mask=(places >= longest - own[:, None]).long(),  # (n, longest + ask)
        position_ids=ends[:, None] + torch.arange(len(ask_ids), device=device),
        past_key_values=_cut(cache, spans, longest),
        use_cache=True,
        output_attentions=True,
    )
    layers = [layer for layer in out.attentions or () if layer is not None]
    if not layers:
        raise ValueError(
            f"{type(model).__name__} does not tell its attention, which the selection of tokens "
            "needs; load it with attn_implementation='eager', or read it without selection"
        )
    # Each layer (n, heads, ask, longest + ask) -> (n, longest)
    best = torch.stack([layer[:, :, -1, :longest].amax(dim=1).float().cpu() for layer in layers])
    for row, (start, end) in zip(best.amax(dim=0), spans, strict=True):
        weights = row[longest - (end - start) :]
        yield weights / weights.sum().clamp_min(torch.finfo(weights.dtype).tiny)


def _cut(cache: DynamicCache, spans: Sequence[TokenSpan], longest: int) -> DynamicCache:
    """Copy spans of one text into rows of a new cache, zeros on the left of shorter ones."""

    def rows(states: Tensor) -> Tensor:  # (1, heads, length, dim) -> (n, heads, longest, dim)
        return torch.cat(
            [
                torch.nn.functional.pad(states[:, :, start:end], (0, 0, longest - (end - start), 0))
                for start, end in spans
            ]
        )

    # Made without the model's config, so that no layer drops what is outside its window.
    parts = DynamicCache()
    for position, layer in enumerate(cache.layers):
        parts.update(rows(layer.keys), rows(layer.values), position)
    return parts


def _check(cache: DynamicCache, chunks: Sequence[TokenSpan], ask_ids: Sequence[int]) -> None:
    length = cache.get_seq_length()
    if not len(ask_ids):
        raise ValueError("the ask has no tokens; give a prompt for a summary")
    for start, end in chunks:
        if not 0 <= start < end <= length:
            raise ValueError(
                f"chunk [{start}, {end}) is empty or outside the text's {length} tokens"
            )
    for layer in cache.layers:
        shape = None if layer.keys is None else tuple(layer.keys.shape)
        if shape is None or shape[0] != 1 or shape[2] != length:
            raise ValueError(
                f"every layer must hold keys (1, heads, {length}, head_dim) of one text, got "
                f"{shape}; use a DynamicCache made without a config"
            )


@contextmanager
def _telling(model: "PreTrainedModel") -> Iterator[None]:
    before = model.config._attn_implementation
    model.set_attn_implementation("eager")
    try:
        yield
    finally:
        model.set_attn_implementation(before)
