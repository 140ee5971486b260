"""Load a causal LM by name or folder: device, dtype, attention; errors in one line."""

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from embedder.arguments import check_fields
from embedder.checkpoints.checkpoint import (
    check_config,
    check_finite,
    check_size,
    check_tokens,
    is_causal,
    missing_head,
)
from embedder.checkpoints.devices import multiplies_bfloat16, resolve_device
from embedder.checkpoints.hub import reachable_place
from embedder.checkpoints.library_errors import named_errors, quiet_transformers
from embedder.checkpoints.model_folder import check_folder
from embedder.checkpoints.named_models import model_place
from embedder.checkpoints.variant import DEFAULT_VARIANT, ModelVariant
from embedder.inputs.chat_template import prepare_rendering

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel

    from embedder.models.backbone import Backbone

DTYPES = ("float32", "bfloat16", "float16")
KNOWN = ("revision", "quantize")  # parts of a variant that a language model has


@dataclass(frozen=True, slots=True)
class LLMOptions:
    """How a model is run. `auto` is resolved while loading.

    Attributes:
        max_text_tokens: tokens of a text that are read; the rest is cut off and counted.
        dtype: float32, bfloat16, float16, or auto: half precision where the weights are stored
            in half precision and the processor multiplies it natively, else float32. On a CPU
            half precision is bfloat16.
        device: cpu, cuda, cuda:1, mps, or auto.
        token_budget: tokens per batch, padding included; 0 chooses by device.
        trust_remote_code: run Python code that comes with the model. Off unless asked for.
        variant: which form of the model.

    >>> options = lw.LLMOptions(max_text_tokens=3)
    >>> encoder = lw.load_encoder("bundled", options=options)
    >>> _ = encoder.encode_query("green tea is steeped for three minutes")
    >>> encoder.counts["truncated"]
    1
    """

    max_text_tokens: int = 512
    dtype: str = "auto"
    device: str = "auto"
    token_budget: int = 0
    trust_remote_code: bool = False
    variant: ModelVariant = DEFAULT_VARIANT

    def __post_init__(self) -> None:
        check_fields(self)
        if self.max_text_tokens < 1 or self.token_budget < 0:
            raise ValueError("max_text_tokens must be at least 1 and token_budget at least 0")
        if self.dtype not in ("auto", *DTYPES):
            raise ValueError(f"dtype must be auto, {', '.join(DTYPES)}; got {self.dtype!r}")


def load_backbone(name: str | Path, options: LLMOptions) -> tuple["Backbone", LLMOptions]:
    """Load model and tokenizer, and say which device and dtype `auto` became.

    Raises:
        ValueError: there is no such model, or it is none that can be read: it lacks weights, is
            no causal LM, or its tokenizer is another's. One line that begins with the place.
    """
    from transformers import AutoConfig, AutoTokenizer

    from embedder.models.backbone import Backbone

    variant = options.variant
    variant.check(str(name), KNOWN)
    variant.check_revision(str(name))
    place = model_place(str(name))
    resolve_device(options.device)  # before anything is downloaded
    source, local = reachable_place(place, revision=variant.revision)
    remote: dict[str, Any] = {"trust_remote_code": options.trust_remote_code}
    if local:
        remote["local_files_only"] = True
    if variant.revision:
        remote["revision"] = variant.revision
    stored = check_folder(Path(source)) if Path(source).exists() else None
    with quiet_transformers(), named_errors(place):
        config = AutoConfig.from_pretrained(source, **remote)
        check_config(config, place)
        if _is_quantised(config) and variant.quantize != "none":
            raise ValueError(f"{place} is quantised as it is stored; leave out quantize")
        resolved = _resolved(options, config)
        tokenizer = AutoTokenizer.from_pretrained(source, **remote)
        if tokenizer.chat_template:
            prepare_rendering()
        if stored is not None and not options.trust_remote_code:
            check_size(config, stored, place)
        model, info = _load_model(source, config, resolved, remote)
        missing = missing_head(model, info, place)
        check_finite(model, place)
        check_tokens(len(model.get_input_embeddings().weight), tokenizer, place)
        return Backbone(model, tokenizer, missing, is_causal(model, place)), resolved


def _load_model(
    source: str, config: "PretrainedConfig", options: LLMOptions, remote: dict[str, Any]
) -> tuple["PreTrainedModel", dict[str, Any]]:
    """Load weights, and return what of them was missing, left over, or of another shape."""
    import torch
    from transformers import AutoModelForCausalLM

    from embedder.models.block_attention import attend_by_blocks

    # Without it, pickles of the hub would be sent to be converted, and the answer be read.
    os.environ.setdefault("DISABLE_SAFETENSORS_CONVERSION", "true")
    # A quantised model is laid out for its device while it loads, and cannot be moved after.
    stored = _is_quantised(config)
    rounding = options.variant.quantisation(options.device)
    quantised = stored or bool(rounding)
    # Eager attention where scores are soft-capped, which fused kernels leave out.
    capped = getattr(config.get_text_config(), "attn_logit_softcapping", None)
    model, info = AutoModelForCausalLM.from_pretrained(
        source,
        dtype=getattr(torch, options.dtype),
        use_safetensors=True,  # pickles run code
        ignore_mismatched_sizes=True,  # refused by `missing_head`, by name
        output_loading_info=True,
        **({"device_map": options.device} if stored else rounding),
        **({"attn_implementation": "eager"} if capped else {}),
        **remote,
    )
    if not quantised:
        model = model.to(options.device)
        attend_by_blocks(model)
    return model, info


def _is_quantised(config: "PretrainedConfig") -> bool:
    return getattr(config, "quantization_config", None) is not None


def _resolved(options: LLMOptions, config: "PretrainedConfig") -> LLMOptions:
    device = resolve_device(options.device)
    dtype = options.dtype
    if dtype == "auto":
        stored = str(getattr(config, "dtype", None)).removeprefix("torch.")
        half = stored in ("bfloat16", "float16")
        if device == "cpu":
            stored, half = "bfloat16", half and multiplies_bfloat16()
        dtype = stored if half else "float32"
    budget = options.token_budget or (1024 if device == "cpu" else 32768)
    return replace(options, device=device, dtype=dtype, token_budget=budget)
