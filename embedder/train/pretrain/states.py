"""Run a Llama decoder for a few positions of each text; the last block skips all others."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


def states_at(model: Any, ids: "Tensor", positions: "Tensor") -> "Tensor":  # noqa: ANN401
    """Return what the LM head sees at some positions, as LlamaForCausalLM would.

    Training reads one position of about a hundred, so the last block's queries, output
    projection and MLP are computed for the positions asked for only.

    Args:
        model: a LlamaForCausalLM with as many key as query heads.
        ids: (n, length) int64, padded on the right; causality keeps padding out.
        positions: (n, p) int64 positions in each text.

    Returns:
        (n, p, hidden) states after the final norm.
    """
    import torch

    decoder = model.model
    hidden = decoder.embed_tokens(ids)  # (n, length, hidden)
    everywhere = torch.arange(ids.shape[1], device=ids.device)[None]
    cos, sin = decoder.rotary_emb(hidden, everywhere)  # (1, length, head_dim)
    for layer in decoder.layers[:-1]:
        hidden = _block(layer, hidden, hidden, (cos, sin), (cos, sin), None)
    rows = positions[:, :, None].expand(-1, -1, hidden.shape[2])
    there = (cos[0][positions], sin[0][positions])  # (n, p, head_dim)
    seen = everywhere[:, None, :] <= positions[:, :, None]  # (n, p, length)
    reading = _block(
        decoder.layers[-1], hidden.gather(1, rows), hidden, there, (cos, sin), seen[:, None]
    )
    states: Tensor = decoder.norm(reading)
    return states


Angles = tuple["Tensor", "Tensor"]


def _block(
    layer: Any,  # noqa: ANN401
    reading: "Tensor",
    hidden: "Tensor",
    there: Angles,
    everywhere: Angles,
    seen: "Tensor | None",
) -> "Tensor":
    """Apply a decoder block to `reading`, which attends to `hidden`; causal if `seen` is None."""
    from torch.nn.functional import scaled_dot_product_attention

    attention = layer.self_attn
    normed = layer.input_layernorm(hidden)
    asking = normed if seen is None else layer.input_layernorm(reading)
    shape = (len(hidden), -1, attention.config.num_attention_heads, attention.head_dim)
    query = attention.q_proj(asking).view(shape).transpose(1, 2)
    key = attention.k_proj(normed).view(shape).transpose(1, 2)
    value = attention.v_proj(normed).view(shape).transpose(1, 2)
    mixed = scaled_dot_product_attention(
        _turn(query, there), _turn(key, everywhere), value, attn_mask=seen, is_causal=seen is None
    )
    reading = reading + attention.o_proj(mixed.transpose(1, 2).flatten(2))
    changed: Tensor = reading + layer.mlp(layer.post_attention_layernorm(reading))
    return changed


def _turn(heads: "Tensor", angles: Angles) -> "Tensor":
    """Rotate (n, heads, length, head_dim) by rotary angles, halves paired (Su et al., 2021)."""
    import torch

    cos, sin = (angle[:, None].to(heads.dtype) for angle in angles)
    left, right = heads.chunk(2, dim=-1)
    return heads * cos + torch.cat([-right, left], dim=-1) * sin
