"""SCSP: keep the tokens that a question for a summary attends to most, chunk by chunk.

After each chunk of whole sentences the model is asked for a summary. An ask sees its own chunk and
itself, the text sees no ask, so that the text is read once and the asks are answered from its keys
and values ("SCSP", 2026). The states of the tokens that are kept are averaged by the caller.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING

from embedder.locks import lock_of
from embedder.models.batching import plan

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import DynamicCache, PreTrainedModel

TokenSpan = tuple[int, int]  # [start, end) in positions of a cache


@dataclass(frozen=True, slots=True)
class SelectionRules:
    """How the tokens of a text are selected.

    Attributes:
        ask: what follows each chunk, a prompt for a summary.
        chunk_tokens: tokens that a chunk of whole sentences holds at most; the paper takes 256 for
            texts of 512 tokens and 512 for texts of 8192.
        alpha: a token is kept where its importance is above alpha times the chunk's mean; the
            paper takes 1 to 2 for texts of 512 tokens and 1.5 to 2.5 for texts of 8192.
    """

    ask: str = 'Brief summary: "'
    chunk_tokens: int = 256
    alpha: float = 1.5

    def __post_init__(self) -> None:
        if not self.ask.strip():
            raise ValueError("ask must hold a prompt for a summary, it is blank")
        if self.chunk_tokens < 1:
            raise ValueError(f"chunk_tokens must be at least 1, got {self.chunk_tokens}")
        if not (isfinite(self.alpha) and self.alpha > 0):
            raise ValueError(f"alpha must be a finite number above 0, got {self.alpha}")


def select_tokens(
    model: "PreTrainedModel",
    cache: "DynamicCache",
    chunks: Sequence[TokenSpan],
    ask_ids: Sequence[int],
    rule: SelectionRules,
) -> "Tensor":
    """Tell which tokens of one text are kept; see `token_importance` for the arguments and errors.

    A chunk in which no token is important enough keeps its most important one.

    Returns:
        (length,) bool on the CPU, length being the positions of the cache; outside chunks False.
    """
    import torch  # late: prompts hold a Selection, and are read without it

    found = token_importance(model, cache, chunks, ask_ids)
    keep = torch.zeros(cache.get_seq_length(), dtype=torch.bool)
    for (start, end), weights in zip(chunks, found, strict=True):
        keep[start:end] |= weights > rule.alpha / (end - start)
        keep[start + int(weights.argmax())] = True  # the strongest passes wherever any passes
    return keep


def token_importance(
    model: "PreTrainedModel",
    cache: "DynamicCache",
    chunks: Sequence[TokenSpan],
    ask_ids: Sequence[int],
) -> list["Tensor"]:
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
    import torch

    length = cache.get_seq_length()
    _check(cache, chunks, ask_ids)
    found = [torch.empty(0)] * len(chunks)
    with lock_of(model), torch.inference_mode(), _telling(model):
        # No batch takes more memory than the text itself.
        for batch in plan([end - start for start, end in chunks], 0, length):
            spans = [chunks[position] for position in batch]
            for position, weights in zip(batch, _ask(model, cache, spans, ask_ids), strict=True):
                found[position] = weights
    return found


def _ask(
    model: "PreTrainedModel",
    cache: "DynamicCache",
    spans: Sequence[TokenSpan],
    ask_ids: Sequence[int],
) -> Iterator["Tensor"]:
    """Put the ask after each of some chunks and yield the chunk's weights."""
    import torch

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


def _cut(cache: "DynamicCache", spans: Sequence[TokenSpan], longest: int) -> "DynamicCache":
    """Copy spans of one text into rows of a new cache, zeros on the left of shorter ones."""
    import torch
    from transformers import DynamicCache

    def rows(states: "Tensor") -> "Tensor":  # (1, heads, length, dim) -> (n, heads, longest, dim)
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


def _check(cache: "DynamicCache", chunks: Sequence[TokenSpan], ask_ids: Sequence[int]) -> None:
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
