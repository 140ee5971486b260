"""Write a small Llama as a GGUF file, as llama.cpp's converter lays it out, for tests."""

import json
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Precision
from gguf import quants

_BLOCK = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}
_OUTER = {"embed_tokens": "token_embd", "norm": "output_norm", "lm_head": "output"}


def write_gguf(folder: Path, file: Path, precision: str = "F32") -> Path:
    """Write the Llama and the tokenizer of a folder into one file; matrices take a precision."""
    from safetensors.numpy import load_file

    config = json.loads((folder / "config.json").read_text())
    writer = gguf.GGUFWriter(file, "llama")
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(config["vocab_size"])
    _add_tokenizer(writer, folder)
    for name, weights in load_file(folder / "model.safetensors").items():
        _add_weights(writer, name, weights, config, Precision[precision])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


def _add_tokenizer(writer: gguf.GGUFWriter, folder: Path) -> None:
    stored = json.loads((folder / "tokenizer.json").read_text())
    model = stored["model"]
    tokens = sorted(model["vocab"], key=model["vocab"].__getitem__)
    special = {token["content"] for token in stored["added_tokens"]}
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types([3 if token in special else 1 for token in tokens])
    writer.add_token_merges([m if isinstance(m, str) else " ".join(m) for m in model["merges"]])
    writer.add_bos_token_id(tokens.index("<s>"))
    writer.add_eos_token_id(tokens.index("</s>"))
    writer.add_unk_token_id(tokens.index("</s>"))
    writer.add_add_bos_token(True)
    if (folder / "chat_template.jinja").is_file():
        writer.add_chat_template((folder / "chat_template.jinja").read_text())


def _add_weights(
    writer: gguf.GGUFWriter,
    name: str,
    weights: np.ndarray,
    config: dict[str, Any],
    precision: Precision,
) -> None:
    parts = name.removesuffix(".weight").removeprefix("model.").split(".", 2)
    if parts[0] == "layers":
        part = _BLOCK[parts[2]]
        name = f"blk.{parts[1]}.{part}.weight"
        heads = {"attn_q": "num_attention_heads", "attn_k": "num_key_value_heads"}
        if part in heads:  # halves of a head's dimensions lie side by side there
            shape = (config[heads[part]], 2, -1, weights.shape[1])
            weights = weights.reshape(shape).swapaxes(1, 2).reshape(weights.shape)
    else:
        name = f"{_OUTER[parts[0]]}.weight"
    kind = precision if weights.ndim > 1 else Precision.F32
    packed = quants.quantize(np.ascontiguousarray(weights, np.float32), kind)
    writer.add_tensor(name, packed, raw_dtype=kind)
