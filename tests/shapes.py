"""Make small random models of the architectures that people use, to hold the engine against."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.models import save_tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel

DEPTH = 6
WINDOW = 8  # tokens; shorter than any prompt, so that a wrong window shows
SPREAD = 0.25  # deviation of weights: large enough that every block changes its input
VECTOR_SPREAD = 0.2  # deviation of what is added to biases (0) and norm weights (1, or 0 in Gemma)


def save_shape(name: str, folder: Path, seed: int = 0) -> Path:
    """Save a random causal LM of the shape `name` (one of SHAPES) beside a tokenizer."""
    import torch
    from transformers import AutoModelForCausalLM

    vocab = save_tokenizer(folder)
    config = _CONFIGS[name]({"vocab_size": vocab, "bos_token_id": 0, "eos_token_id": 1})
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    _shake_vectors(model)
    model.save_pretrained(folder)
    return folder


def _shake_vectors(model: "PreTrainedModel") -> None:
    # New models have biases of 0 and norms of 1: forgetting one of those would not show.
    import torch

    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter.add_(torch.randn_like(parameter) * VECTOR_SPREAD)


def _llama_like(common: dict[str, Any]) -> dict[str, Any]:
    return {
        **common,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": DEPTH,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 512,
        "initializer_range": SPREAD,
    }


def _llama(common: dict[str, Any]) -> "PreTrainedConfig":
    from transformers import LlamaConfig

    return LlamaConfig(**_llama_like(common))


def _mistral(common: dict[str, Any]) -> "PreTrainedConfig":
    from transformers import MistralConfig

    return MistralConfig(**_llama_like(common), sliding_window=WINDOW)


def _qwen2(common: dict[str, Any]) -> "PreTrainedConfig":
    from transformers import Qwen2Config

    # As the published models: more embedding rows than the tokenizer has tokens.
    padded = common | {"vocab_size": common["vocab_size"] + 12}
    return Qwen2Config(**_llama_like(padded), tie_word_embeddings=True)


def _qwen3(common: dict[str, Any]) -> "PreTrainedConfig":
    from transformers import Qwen3Config

    # As the published models: the heads together are wider than the state.
    return Qwen3Config(**_llama_like(common), head_dim=16)


def _gemma2(common: dict[str, Any]) -> "PreTrainedConfig":
    from transformers import Gemma2Config

    return Gemma2Config(
        **_llama_like(common),
        head_dim=16,
        query_pre_attn_scalar=16,
        sliding_window=WINDOW,  # of every other block
        attn_logit_softcapping=3.0,  # low, so that the cap acts on such small models
        final_logit_softcapping=5.0,
        pad_token_id=None,  # else the row of <s> would be zeros
    )


def _gpt_neox(common: dict[str, Any]) -> "PreTrainedConfig":
    from transformers import GPTNeoXConfig

    return GPTNeoXConfig(
        **common,
        hidden_size=48,
        intermediate_size=96,
        num_hidden_layers=DEPTH,
        num_attention_heads=3,
        max_position_embeddings=512,
        rotary_pct=0.25,
        use_parallel_residual=True,
        initializer_range=SPREAD,
    )


def _opt(common: dict[str, Any], **more: Any) -> "PreTrainedConfig":  # noqa: ANN401
    from transformers import OPTConfig

    return OPTConfig(
        **common,
        hidden_size=32,
        ffn_dim=64,
        num_hidden_layers=DEPTH,
        num_attention_heads=4,
        max_position_embeddings=512,
        init_std=SPREAD,
        pad_token_id=None,  # else the row of </s> would be zeros
        **more,
    )


def _opt_post(common: dict[str, Any]) -> "PreTrainedConfig":
    # OPT-350m: norms after the sums, and embeddings narrower than the states.
    return _opt(common, do_layer_norm_before=False, word_embed_proj_dim=24)


def _gpt2(common: dict[str, Any]) -> "PreTrainedConfig":
    from transformers import GPT2Config

    return GPT2Config(
        **common, n_embd=32, n_layer=DEPTH, n_head=4, n_positions=512, initializer_range=SPREAD
    )


_CONFIGS: dict[str, Callable[[dict[str, Any]], "PreTrainedConfig"]] = {
    "llama": _llama,
    "mistral": _mistral,
    "qwen2": _qwen2,
    "qwen3": _qwen3,
    "gemma2": _gemma2,
    "gpt-neox": _gpt_neox,
    "opt": _opt,
    "opt-post": _opt_post,
    "gpt2": _gpt2,
}
SHAPES = tuple(_CONFIGS)
