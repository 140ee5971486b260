"""Write a small language model as a GGUF file, as llama.cpp's converter lays it out, for tests."""

import json
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Precision
from gguf import GGUFValueType, quants

_IDS = {name: number for number, name in gguf.MODEL_ARCH_NAMES.items()}
_EPSILONS = ("layer_norm_eps", "norm_epsilon", "norm_eps", "layer_norm_epsilon")


def write_gguf(
    folder: Path,
    file: Path,
    precision: str = "F32",
    architecture: str = "llama",
    split: str = "gpt-2",
    **more: float | str,
) -> Path:
    """Write the model and the tokenizer of a folder into one file.

    Args:
        folder: as save_pretrained writes it.
        file: to write.
        precision: of the matrices.
        architecture: by which its tensors are named.
        split: how a byte-level tokenizer splits texts.
        more: keys below the architecture's name, with "__" for ".".
    """
    from safetensors.numpy import load_file

    config = json.loads((folder / "config.json").read_text())
    writer = gguf.GGUFWriter(file, architecture)
    _add_shape(writer, config)
    for key, value in more.items():
        kind = GGUFValueType.STRING if isinstance(value, str) else GGUFValueType.FLOAT32
        writer.add_key_value(f"{architecture}.{key.replace('__', '.')}", value, kind)
    _add_tokenizer(writer, folder, split)
    names = gguf.get_tensor_name_map(_IDS[architecture], config["num_hidden_layers"])
    for name, weights in load_file(folder / "model.safetensors").items():
        module, _, part = name.rpartition(".")
        place = f"{names.get_name(module)}.{part}"
        values = _laid_out(weights, place, config, architecture)
        form = Precision[precision] if weights.ndim > 1 else Precision.F32
        packed = quants.quantize(np.ascontiguousarray(values, np.float32), form)
        writer.add_tensor(place, packed, raw_dtype=form)
    if factors := _rope_factors(config):
        writer.add_tensor("rope_freqs.weight", np.array(factors, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


def _add_shape(writer: gguf.GGUFWriter, config: dict[str, Any]) -> None:
    heads, rope = config["num_attention_heads"], config["rope_parameters"]
    size = config.get("head_dim") or config["hidden_size"] // heads
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    if "intermediate_size" in config:
        writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(config.get("num_key_value_heads") or config["num_kv_heads"])
    writer.add_rope_dimension_count(int(size * rope.get("partial_rotary_factor", 1.0)))
    writer.add_rope_freq_base(rope["rope_theta"])
    writer.add_vocab_size(config["vocab_size"])
    if "rms_norm_eps" in config:
        writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    for name in _EPSILONS:
        if name in config:
            writer.add_layer_norm_eps(config[name])
    if config.get("head_dim"):
        writer.add_key_length(size)
        writer.add_value_length(size)
    if config.get("sliding_window"):
        writer.add_sliding_window(config["sliding_window"])


def _rope_factors(config: dict[str, Any]) -> list[float]:
    """Compute by what the frequencies of a Llama 3 are divided; nothing for others."""
    rope = config["rope_parameters"]
    if rope.get("rope_type") != "llama3":
        return []
    size = config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
    low, high = rope["low_freq_factor"], rope["high_freq_factor"]
    factors = []
    for at in range(0, size, 2):
        turns = rope["original_max_position_embeddings"] / (
            2 * np.pi * rope["rope_theta"] ** (at / size)
        )  # that a frequency makes in the context of training
        share = min(max((turns - low) / (high - low), 0.0), 1.0)
        factors.append(float(1 / ((1 - share) / rope["factor"] + share)))
    return factors


def _add_tokenizer(writer: gguf.GGUFWriter, folder: Path, split: str) -> None:
    stored = json.loads((folder / "tokenizer.json").read_text())
    model = stored["model"]
    tokens = sorted(model["vocab"], key=model["vocab"].__getitem__)
    special = {token["content"] for token in stored["added_tokens"]}
    spaced = "\u2581" in "".join(tokens)  # as of SentencePiece
    writer.add_tokenizer_model("llama" if spaced else "gpt2")
    writer.add_tokenizer_pre("default" if spaced else split)
    writer.add_token_list(tokens)
    bytes_ = [spaced and token.startswith("<0x") for token in tokens]
    kinds = [3 if token in special else 1 for token in tokens]
    writer.add_token_types([6 if byte else kind for byte, kind in zip(bytes_, kinds, strict=True)])
    if spaced:
        writer.add_token_scores([-float(at) for at in range(len(tokens))])
    else:
        writer.add_token_merges([m if isinstance(m, str) else " ".join(m) for m in model["merges"]])
    writer.add_bos_token_id(tokens.index("<s>"))
    writer.add_eos_token_id(tokens.index("</s>"))
    writer.add_pad_token_id(tokens.index("</s>"))
    writer.add_unk_token_id(tokens.index("<unk>" if spaced else "</s>"))
    writer.add_add_bos_token(True)
    if (folder / "chat_template.jinja").is_file():
        writer.add_chat_template((folder / "chat_template.jinja").read_text())


def _laid_out(
    weights: np.ndarray, place: str, config: dict[str, Any], architecture: str
) -> np.ndarray:
    """Arrange a tensor as the converter does."""
    heads = {"attn_q": "num_attention_heads", "attn_k": "num_key_value_heads"}
    part = place.split(".")[-2]
    if architecture == "llama" and part in heads:
        # Halves of a head's dimensions lie side by side there.
        shape = (config[heads[part]], 2, -1, *weights.shape[1:])
        return weights.reshape(shape).swapaxes(1, 2).reshape(weights.shape)
    if architecture == "nemotron" and place.endswith("norm.weight"):
        return weights + 1
    return weights
