"""Build the decoder that begins as a bag of words: attention pools, nothing else acts yet."""

import math
from typing import TYPE_CHECKING, Any

from embedder.train.pretrain.bag import CONSTANT_GAIN, MEANING_SHARE, RESERVED, Bag
from embedder.train.pretrain.tokenizer import BOS, EOS, MAX_LENGTH, PAD

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import LlamaConfig, LlamaForCausalLM

    from embedder.train.pretrain.settings import Shape

NOISE = 0.02


def decoder_config(shape: "Shape", tokenizer: "Tokenizer") -> "LlamaConfig":
    """Describe a standard Llama with an untied head."""
    from transformers import LlamaConfig

    return LlamaConfig(
        vocab_size=shape.vocabulary,
        hidden_size=shape.width,
        intermediate_size=shape.intermediate,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.heads,
        max_position_embeddings=MAX_LENGTH,
        rms_norm_eps=1e-6,
        tie_word_embeddings=False,
        bos_token_id=tokenizer.token_to_id(BOS),
        eos_token_id=tokenizer.token_to_id(EOS),
        pad_token_id=tokenizer.token_to_id(PAD),
    )


def decoder_from_bag(bag: Bag, config: "LlamaConfig", seed: int) -> "LlamaForCausalLM":
    """Return a decoder whose state at a silent token is the bag's vector of the text before it.

    The hidden units are [meaning..., importance, filler, reader, constant]. The filler gives all
    rows one length, so that RMSNorm changes nothing. In the last block every head asks from the
    reader unit and is answered by the importance unit, both in the slowest rotary pair: softmax
    over importance. Values and output are the identity on meaning. All other outputs are zero.

    Args:
        bag: directions, importance and head of each token.
        config: of a Llama with hidden_size = the bag's width + RESERVED.
        seed: of the noise that breaks the symmetry of weights without effect so far.
    """
    import torch
    from transformers import LlamaForCausalLM

    torch.manual_seed(seed)
    model = LlamaForCausalLM(config)
    width, meaning = bag.width, bag.width - RESERVED
    importance, filler, asks, constant = range(meaning, width)
    # Of each of the two units by which a silent row asks to be read at.
    asking = math.sqrt((width - bag.most_importance**2) / 2)
    weight = bag.bounded_importance().detach()
    with torch.no_grad():
        rows = model.model.embed_tokens.weight.zero_()
        rows[:, :meaning] = bag.rows()
        rows[:, importance] = weight
        rows[:, filler] = (width * (1 - MEANING_SHARE) - weight**2).sqrt()
        rows[bag.silent, filler] = 0
        rows[bag.silent, asks] = rows[bag.silent, constant] = asking
        for layer in model.model.layers:
            _silence(layer)
        _let_pool(model.model.layers[-1].self_attn, meaning, asking)
        model.model.norm.weight[meaning:] = 0
        model.model.norm.weight[constant] = CONSTANT_GAIN
        head = model.lm_head.weight.zero_()
        head[:, :meaning] = bag.head
        head[:, constant] = bag.bias / (asking * CONSTANT_GAIN)
    return model


def _silence(layer: Any) -> None:  # noqa: ANN401
    """Give a block small random inputs and outputs of exactly zero."""
    from torch.nn.init import normal_, zeros_

    attention, mlp = layer.self_attn, layer.mlp
    for inner in (attention.k_proj, attention.v_proj, mlp.gate_proj, mlp.up_proj):
        normal_(inner.weight, std=NOISE)
    normal_(attention.q_proj.weight, std=NOISE)
    zeros_(attention.o_proj.weight)
    zeros_(mlp.down_proj.weight)


def _let_pool(attention: Any, meaning: int, asking: float) -> None:  # noqa: ANN401
    """Make a block's attention the mean of meanings, weighted by exp(importance)."""
    from torch.nn.init import zeros_

    heads, size = attention.config.num_attention_heads, attention.head_dim
    zeros_(attention.q_proj.weight)  # keys stay noisy: a zero query does not hear them
    slowest = size // 2 - 1  # this rotary pair turns by 1e-4 a position
    for head in range(heads):
        unit = head * size + slowest
        attention.q_proj.weight[unit, meaning + 2] = math.sqrt(size) / asking
        attention.k_proj.weight[unit] = 0
        attention.k_proj.weight[unit, meaning] = 1
    for projection in (attention.v_proj, attention.o_proj):
        zeros_(projection.weight)
        projection.weight.fill_diagonal_(1)
        projection.weight[meaning:] = 0
