"""Load a causal LM by name or folder: device, dtype, attention; errors in one line."""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from embedder.bundled import BUNDLED_MODEL, BUNDLED_NAME

if TYPE_CHECKING:
    import torch
    from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

    from embedder.backbone import Backbone

SAMPLES = 64  # values of each weight matrix that enter the digest
DTYPES = ("float32", "bfloat16", "float16")


@dataclass(frozen=True, slots=True)
class LLMOptions:
    """How a model is run. `auto` is resolved while loading.

    Attributes:
        max_text_tokens: tokens of a text that are read; the rest is cut off and counted.
        dtype: float32, bfloat16, float16, or auto: half precision where the weights are stored
            in it and the processor multiplies it natively, else float32.
        device: cpu, cuda, cuda:1, mps, or auto.
        token_budget: tokens per batch, padding included; 0 chooses by device.
        trust_remote_code: run Python code that comes with the model. Off unless asked for.
    """

    max_text_tokens: int = 512
    dtype: str = "auto"
    device: str = "auto"
    token_budget: int = 0
    trust_remote_code: bool = False

    def __post_init__(self) -> None:
        if self.max_text_tokens < 1 or self.token_budget < 0:
            raise ValueError("max_text_tokens must be at least 1 and token_budget at least 0")
        if self.dtype not in ("auto", *DTYPES):
            raise ValueError(f"dtype must be auto, {', '.join(DTYPES)}; got {self.dtype!r}")


def load_backbone(name: str | Path, options: LLMOptions) -> tuple["Backbone", LLMOptions]:
    """Load model and tokenizer, and say which device and dtype `auto` became."""
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging as transformers_logging

    from embedder.backbone import Backbone

    transformers_logging.disable_progress_bar()
    place = str(BUNDLED_MODEL if name == BUNDLED_NAME else name)
    remote: dict[str, Any] = {"trust_remote_code": options.trust_remote_code}
    with _plain_errors(place):
        config = AutoConfig.from_pretrained(place, **remote)
        tokenizer = AutoTokenizer.from_pretrained(place, **remote)
        resolved = _resolved(options, config)
        # A quantised model is laid out for its device while it loads, and cannot be moved after.
        quantised = getattr(config, "quantization_config", None) is not None
        layout = {"device_map": resolved.device} if quantised else {}
        model = AutoModelForCausalLM.from_pretrained(
            place, dtype=_torch_dtype(resolved.dtype), **_attention(config), **layout, **remote
        )
        model = model if quantised else model.to(resolved.device)
    return Backbone(model, tokenizer), resolved


def weights_digest(model: "PreTrainedModel") -> str:
    """Return 16 hex digits that tell two sets of weights apart, wherever they are stored.

    64 evenly spaced values of every tensor count, with its name, shape and dtype: fine-tuning
    changes all of them, and a folder that was moved or a hub name changes none.
    """
    import torch

    digest = hashlib.sha256()
    for name, tensor in model.state_dict().items():
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        flat = tensor.detach().reshape(-1)
        step = max(1, len(flat) // SAMPLES)
        digest.update(flat[::step][:SAMPLES].to("cpu", torch.float32).numpy().tobytes())
    return digest.hexdigest()[:16]


def tokenizer_digest(tokenizer: "PreTrainedTokenizerBase") -> str:
    """Return 16 hex digits of the vocabulary and of how it cuts a probing text."""
    probe = "Naïve CafÉ 3.14 don't\n\tl'eau 東京 e\u0301 state-of-the-art <s> ▁ Ġ"
    cut = tokenizer(probe, add_special_tokens=True, verbose=False).input_ids
    facts = repr((sorted(tokenizer.get_vocab().items()), cut))
    return hashlib.sha256(facts.encode()).hexdigest()[:16]


def _resolved(options: LLMOptions, config: "PretrainedConfig") -> LLMOptions:
    import torch

    device = options.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    dtype = options.dtype
    if dtype == "auto":
        stored = str(getattr(config, "dtype", None)).removeprefix("torch.")
        native = device != "cpu" or bool(torch.cpu.get_capabilities().get("amx_bf16"))
        half = (stored == "bfloat16" and native) or (stored == "float16" and device != "cpu")
        dtype = stored if half else "float32"
    budget = options.token_budget or (1024 if device == "cpu" else 32768)
    return replace(options, device=device, dtype=dtype, token_budget=budget)


def _torch_dtype(name: str) -> "torch.dtype":
    import torch

    return {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}[name]


def _attention(config: "PretrainedConfig") -> dict[str, str]:
    """Ask for eager attention where scores are soft-capped, which fused kernels leave out."""
    text = config.get_text_config()
    return {"attn_implementation": "eager"} if _soft_cap(text) else {}


def _soft_cap(config: "PretrainedConfig") -> float | None:
    cap: float | None = getattr(config, "attn_logit_softcapping", None)
    return cap


class _plain_errors:  # noqa: N801 - reads as a statement: with _plain_errors(place)
    """Turn what loading a wrong folder or name raises into one line of ours."""

    def __init__(self, place: str) -> None:
        self.place = place

    def __enter__(self) -> None:
        if Path(self.place).exists() and not (Path(self.place) / "config.json").is_file():
            raise ValueError(
                f"{self.place} is no model folder: expected config.json in it, as "
                "save_pretrained writes it"
            )

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        from safetensors import SafetensorError

        if isinstance(error, OSError | ValueError | KeyError | SafetensorError | RuntimeError):
            first = str(error).strip().split("\n")[0]
            raise ValueError(
                f"no causal language model could be loaded from {self.place!r} "
                f"(a folder, or a name on the Hugging Face hub): {first}"
            ) from error
