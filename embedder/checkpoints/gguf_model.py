"""What transformers makes of a GGUF file, saved plain, or refused where it is not the file's model.

transformers maps the keys and tensors of a file that it knows, and passes over the others without
a word; so an architecture is taken only if tests compare its logits with those of the source.
"""

import json
from contextlib import redirect_stderr
from functools import partial
from io import StringIO
from math import isclose, isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
from transformers.integrations.gguf.gguf_tokenizer_mapping import GGUF_PRE_TOKENIZER_SPLITS

from embedder.checkpoints.checkpoint import (
    BUFFERS,
    check_config,
    check_finite,
    count_described,
    is_causal,
    is_finite,
    not_causal,
)
from embedder.checkpoints.gguf_file import ARCHITECTURES, GGUFHeader, Value
from embedder.checkpoints.library_errors import named_errors
from embedder.checkpoints.model_folder import check_parts

if TYPE_CHECKING:
    from torch import Tensor, dtype
    from transformers import PretrainedConfig, PreTrainedModel

_GPT2_SPLIT = {"gpt-2", "jais", "mpt", "olmo", "phi-2", "smollm"}
_DIGIT_SPLIT = {"codeshell", "command-r", "exaone", "minerva-7b", "refact", "starcoder"}
_SLACK = 2  # times the numbers in a file are what its model may have: heads can be shared
_LLAMA3 = {
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}
_EPSILONS = ("rms_norm_eps", "norm_eps", "layer_norm_eps", "norm_epsilon", "layer_norm_epsilon")


def save_plain(path: Path, folder: Path, header: GGUFHeader, precision: str) -> None:
    """Load a GGUF file by transformers, take its quantiser off, and save model and tokenizer.

    Args:
        path: of the file.
        folder: empty.
        header: of the file.
        precision: of the matrices that are saved, e.g. "float16"; the rest is float32.

    Raises:
        ValueError: the file is damaged, or holds what transformers would leave out.
    """
    import torch

    _check_architecture(path, header)
    loaded, tokenizer = _load(path, header)
    facts = loaded.config.to_dict()
    facts.pop("quantization_config", None)
    config = type(loaded.config).from_dict(facts)
    config.dtype = getattr(torch, precision)
    with torch.device("meta"):
        plain = AutoModelForCausalLM.from_config(config)
    weights = {key: _narrow(value, config.dtype) for key, value in loaded.state_dict().items()}
    if large := [key for key, value in weights.items() if not is_finite(value)]:
        raise ValueError(f"{path}: weight {large[0]} is too large for {precision}")
    plain.load_state_dict(weights, assign=True)
    plain.tie_weights()
    plain.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    split_digits = header.keys.get("tokenizer.ggml.pre") in _DIGIT_SPLIT
    _mend_tokenizer(folder / "tokenizer.json", config.vocab_size, split_digits)


def _check_architecture(path: Path, header: GGUFHeader) -> None:
    """Refuse what no test compares with its source: in it, transformers may leave something out.

    Raises:
        ValueError: another architecture, or another way of splitting texts before their merges.
    """
    if header.architecture not in ARCHITECTURES:
        raise ValueError(
            f"{path}: of architecture {header.architecture}; of GGUF files, expected "
            f"{', '.join(ARCHITECTURES)}: take the model's safetensors"
        )
    split = header.keys.get("tokenizer.ggml.pre")
    known = {*GGUF_PRE_TOKENIZER_SPLITS, *_GPT2_SPLIT, *_DIGIT_SPLIT}
    if header.keys.get("tokenizer.ggml.model") == "gpt2" and split not in known:
        raise ValueError(
            f"{path}: tokenizer.ggml.pre is {split!r:.40}, and how that splits texts is not known; "
            "take the model's safetensors"
        )


def _load(path: Path, header: GGUFHeader) -> tuple["PreTrainedModel", Any]:
    """Load model and tokenizer, the model in float32."""
    place, name = str(path.parent), path.name
    bars = redirect_stderr(StringIO())  # the one over matrices heeds no setting
    with named_errors(str(path), "GGUF model"), bars:
        config = AutoConfig.from_pretrained(place, gguf_file=name)
        if header.architecture == "phi3":
            config.sliding_window = header.keys.get("phi3.attention.sliding_window") or None
        _check_described(config, header, path)
        if header.rope_factors:
            _scale_positions(config, header, path)
        tokenizer = AutoTokenizer.from_pretrained(place, gguf_file=name)
        model, info = AutoModelForCausalLM.from_pretrained(
            place,
            gguf_file=name,
            config=config,
            dtype="float32",
            ignore_mismatched_sizes=True,  # refused below, by name
            output_loading_info=True,
        )
    wrong = sorted(info["missing_keys"]) + [key for key, *_ in info["mismatched_keys"]]
    if wrong:
        raise ValueError(f"{path}: the weights of {wrong[0]} are missing in it, or of other shape")
    if (used := model.num_parameters()) != header.parameters:
        raise ValueError(
            f"{path}: its tensors hold {header.parameters:,} numbers, of which transformers takes "
            f"{used:,}; without the others the model would be another one"
        )
    check_finite(model, str(path))
    if not is_causal(model, str(path)):
        raise not_causal(str(path), type(model).__name__)
    return model, tokenizer


def _check_described(config: "PretrainedConfig", header: GGUFHeader, path: Path) -> None:
    """Refuse a configuration that is not the file's, before memory is taken.

    Raises:
        ValueError: it describes no causal LM, or one with more parts or numbers than the tensors
            have, or differs from what the keys say.
    """
    check_config(config, str(path))
    check_parts(config.to_dict(), path)
    parameters, buffers = count_described(config)
    if parameters > _SLACK * header.parameters or buffers > BUFFERS:
        raise ValueError(
            f"{path}: its keys describe {parameters:,} parameters and {buffers:,} other values, "
            f"and its tensors hold {header.parameters:,}; the file is damaged"
        )
    for key, value in _computing(config).items():
        said = header.keys.get(f"{header.architecture}.{key}", value)
        if not _agree(said, value):
            raise ValueError(f"{path}: {key} is {said}, and transformers would take {value}")


def _scale_positions(config: "PretrainedConfig", header: GGUFHeader, path: Path) -> None:
    """Scale rotary positions as the file's factors do, which transformers passes over.

    Raises:
        ValueError: the factors are not those of Llama 3.1 or later (Llama Team, 2024).
    """
    from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

    said, factor = header.rope_factors, max(header.rope_factors)
    if config.model_type == "llama" and isfinite(factor) and factor >= 1:
        plain = LlamaRotaryEmbedding(config).inv_freq
        scaling = {"rope_type": "llama3", "factor": factor, **_LLAMA3}
        config.rope_parameters = {**config.rope_parameters, **scaling}
        factors = (plain / LlamaRotaryEmbedding(config).inv_freq).tolist()
        if len(factors) == len(said) and all(map(partial(isclose, rel_tol=1e-4), factors, said)):
            return
    raise ValueError(f"{path}: its rope_freqs are not those of a Llama 3 of 8,192 tokens")


def _agree(said: Value, value: Value) -> bool:
    if isinstance(said, str) or isinstance(value, str):
        return said == value
    return isclose(said or 0, value or 0, rel_tol=1e-6)  # keys are of 32 bits


def _computing(config: Any) -> dict[str, Value]:  # noqa: ANN401  (of any model)
    """Return keys that transformers may pass over, each with what it takes in their place."""
    rope = config.rope_parameters or {}
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    keys = {"attention.key_length": size, "attention.value_length": size}
    keys["rope.dimension_count"] = int(size * rope.get("partial_rotary_factor", 1.0))
    keys["attention.sliding_window"] = getattr(config, "sliding_window", None)
    keys |= {"rope.freq_base": rope.get("rope_theta"), "rope.scaling.type": "none"}
    keys |= {"rope.scaling.factor": 1.0, "rope.scale_linear": 1.0}
    epsilon = next((getattr(config, name) for name in _EPSILONS if hasattr(config, name)), None)
    return keys | {
        f"attention.{norm}_epsilon": epsilon for norm in ("layer_norm_rms", "layer_norm")
    }


def _narrow(weights: "Tensor", precision: "dtype") -> "Tensor":
    """Round matrices only: files keep norms and biases in float32."""
    return weights.to(precision) if weights.ndim > 1 else weights


def _mend_tokenizer(path: Path, rows: int, split_digits: bool) -> None:
    """Leave out tokens that transformers adds beyond the embedding table; split numbers."""
    stored = json.loads(path.read_text(encoding="utf-8"))
    stored["added_tokens"] = [token for token in stored["added_tokens"] if token["id"] < rows]
    if split_digits:  # as StarCoder does, which transformers reads as GPT-2
        digits = {"type": "Digits", "individual_digits": True}
        stored["pre_tokenizer"] = {
            "type": "Sequence",
            "pretokenizers": [digits, stored["pre_tokenizer"]],
        }
    path.write_text(json.dumps(stored, ensure_ascii=False), encoding="utf-8")
