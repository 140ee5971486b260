"""Is a loaded model what its checkpoint says: complete, finite, causal, as wide as its tokens."""

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from embedder.checkpoints.model_folder import StoredWeights

if TYPE_CHECKING:
    from torch import Tensor, nn
    from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

LEAST_BITS = 1  # of a stored parameter; a config that describes more holds other weights
BUFFERS = 2**31  # values; of what is made while loading and not stored, such as masks
SHARED, TAIL = 6, 6  # tokens of the two rows that show whether a model is causal
_IN_BLOCK = re.compile(r"(^|\.)(layers|h|blocks)\.\d+\.")  # where nothing may be left out
_LEFT_OVER = re.compile(r"inv_freq|rotary_emb|position_ids|masked_bias|attn\.bias$|_scale|_amax")


def check_config(config: "PretrainedConfig", place: str) -> None:
    """Refuse encoders and encoder-decoders, which AutoModelForCausalLM makes half random.

    Raises:
        ValueError: the configuration describes no causal LM.
    """
    from transformers.models.auto import modeling_auto as auto

    named = config.architectures or []
    named = named if isinstance(named, list) else [named]
    if getattr(config, "is_encoder_decoder", False) is True:
        raise ValueError(
            f"{place} is an encoder-decoder ({_class(config, named)}), not a causal language "
            "model; choose a decoder-only model"
        )
    causal = auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.get(config.model_type)
    if causal is None and not getattr(config, "auto_map", None):
        raise ValueError(
            f"{place} is no causal language model: there is none of type {config.model_type!r}"
        )
    if config.model_type in auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES and causal not in named:
        raise not_causal(place, _class(config, named))


def not_causal(place: str, architecture: str) -> ValueError:
    """Return the error for a model whose tokens see those after them."""
    return ValueError(
        f"{place} is not a causal language model ({architecture}): its tokens see those that come "
        "after them, so that a row would depend on its batch; sentence embedders are read by "
        "the name sbert:NAME"
    )


def check_size(config: "PretrainedConfig", stored: StoredWeights, place: str) -> None:
    """Refuse a configuration of far more parameters than are stored, before memory is taken.

    Raises:
        ValueError: there are more blocks than tensors, or more parameters than bits.
    """
    blocks = getattr(config.get_text_config(), "num_hidden_layers", 0)
    if isinstance(blocks, int) and blocks > max(1, stored.tensors):
        raise ValueError(
            f"{place}: config.json says {blocks} blocks, and the weights hold "
            f"{stored.tensors} tensors; they are of different models"
        )
    parameters, buffers = count_described(config)
    if parameters * LEAST_BITS > 8 * stored.size or buffers > BUFFERS:
        raise ValueError(
            f"{place}: config.json describes {parameters:,} parameters and {buffers:,} other "
            f"values, and the weights are {stored.size:,} bytes; they are of different models"
        )


def count_described(config: "PretrainedConfig") -> tuple[int, int]:
    """Count the parameters and the other values of the model of a configuration; none is made."""
    import torch
    from transformers import AutoModelForCausalLM

    with torch.device("meta"):
        empty = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    parameters = sum(value.numel() for value in empty.parameters())
    return parameters, sum(value.numel() for value in empty.buffers())


def missing_head(model: "PreTrainedModel", info: Mapping[str, Any], place: str) -> frozenset[str]:
    """Return the names of the LM head's weights where they alone are missing.

    Args:
        model: as loaded.
        info: missing_keys, mismatched_keys and unexpected_keys of from_pretrained.
        place: for messages.

    Raises:
        ValueError: other weights are missing, have another shape, or are left over in a block.
    """
    mismatched = sorted(info["mismatched_keys"])
    if mismatched:
        name, stored, described = mismatched[0]
        raise ValueError(
            f"{place}: weight {name} is stored as {_shape(stored)} and config.json describes "
            f"{_shape(described)}{_more(mismatched)}; weights and configuration are of "
            "different models"
        )
    head = model.get_output_embeddings()
    names = [name for name, module in model.named_modules() if module is head]
    own = {f"{name}.{part}" for name in names for part, _ in head.named_parameters()}
    missing = set(info["missing_keys"])
    if missing - own:
        raise ValueError(
            f"{place}: weight {min(missing - own)} is missing{_more(missing - own)} and would be "
            "random; the download is incomplete, or config.json is of another architecture"
        )
    unexpected = sorted(info["unexpected_keys"])
    extra = [key for key in unexpected if _IN_BLOCK.search(key) and not _LEFT_OVER.search(key)]
    if extra:
        raise ValueError(
            f"{place}: weight {extra[0]} is stored{_more(extra)}, and {type(model).__name__} has "
            "no place for it; config.json is of another architecture"
        )
    return frozenset(missing)


def check_finite(model: "nn.Module", place: str) -> None:
    """Refuse weights that hold NaN or infinity, and NaN in what a configuration is made into.

    Raises:
        ValueError: names the first of them.
    """
    for name, parameter in model.named_parameters():
        if not is_finite(parameter.detach()):
            raise ValueError(
                f"{place}: weight {name} holds NaN or infinity as {_dtype(parameter)}; the file "
                "is damaged, or the numbers need another dtype"
            )
    for name, buffer in model.named_buffers():  # infinity may stand in a mask
        if buffer.is_floating_point() and bool(buffer.isnan().any()):
            raise ValueError(
                f"{place}: {name}, which is computed from config.json, holds NaN; a number there, "
                "such as rope_theta, is out of its range"
            )


def is_finite(tensor: "Tensor") -> bool:
    """Tell whether a tensor holds neither NaN nor infinity."""
    import torch

    if not tensor.dtype.is_floating_point or tensor.dtype.itemsize < 2 or not tensor.numel():
        return True  # quantised, or none; float8 is widened on loading
    low, high = torch.aminmax(tensor)  # NaN passes through
    return bool(torch.isfinite(low) & torch.isfinite(high))


def check_tokens(rows: int, tokenizer: "PreTrainedTokenizerBase", place: str) -> None:
    """Refuse a tokenizer with ids beyond the rows of the embedding table.

    Raises:
        ValueError: the tokenizer is larger than the table, or tokenises nothing.
    """
    outside = {token: at for token, at in tokenizer.get_vocab().items() if at >= rows}
    if outside:
        first = min(outside, key=lambda token: outside[token])
        raise ValueError(
            f"{place}: the tokenizer has {len(outside)} tokens beyond the {rows} rows of the "
            f"embedding table, the first {first!r} (id {outside[first]}); tokenizer and weights "
            "are of different models"
        )
    ids = tokenizer("a text", verbose=False).input_ids
    if not ids:
        raise ValueError(f"{place}: the tokenizer makes no tokens of a text; it is damaged")


def is_causal(model: "PreTrainedModel", place: str) -> bool:
    """Tell whether a token's state stays as it is, whatever tokens come after it.

    Two rows begin with the same tokens and go on differently; their states must agree up to there.

    Raises:
        ValueError: they hold NaN or infinity.
    """
    import torch

    config = model.config.get_text_config()
    table = model.get_input_embeddings().weight
    length = min(SHARED + TAIL, getattr(config, "max_position_embeddings", None) or SHARED + TAIL)
    shared = length // 2
    ids = torch.arange(1, 2 * length + 1).reshape(2, length) * 7919 % len(table)
    ids[1, :shared] = ids[0, :shared]
    with torch.inference_mode():
        out = model.base_model(input_ids=ids.to(table.device), use_cache=False)
    states = out.last_hidden_state.float()
    if not torch.isfinite(states).all():
        raise ValueError(
            f"{place}: the model gives NaN or infinity as {_dtype(model)}; try dtype float32, or "
            "check config.json and the weights"
        )
    states = states[:, :shared]
    scale = states.abs().amax().clamp(min=1e-30)
    far = float((states[0] - states[1]).abs().amax() / scale)
    return far <= (1e-4 if model.dtype == torch.float32 else 2e-2)


def _class(config: "PretrainedConfig", named: list[object]) -> str:
    return str(named[0]) if named else str(config.model_type)


def _shape(shape: Iterable[int]) -> str:
    return "x".join(map(str, shape)) or "a number"


def _more(names: Any) -> str:  # noqa: ANN401  (any sized collection)
    return f" (and {len(names) - 1} more)" if len(names) > 1 else ""


def _dtype(values: "Tensor | PreTrainedModel") -> str:
    return str(values.dtype).removeprefix("torch.")
