"""Load a model to be fine-tuned, put adapters into it, and write it out as a plain folder."""

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from embedder.checkpoints.named_models import model_place
from embedder.files.durable import filling
from embedder.models.anatomy import decoder_layers
from embedder.models.backbone import Backbone
from embedder.models.digests import tokenizer_digest, weights_digest
from embedder.models.loading import LLMOptions, load_backbone
from embedder.prompts.files import format_prompt
from embedder.train.contrast.finetune_settings import ALL_LINEAR, FineTuneSettings, Lora
from embedder.train.device import Device

if TYPE_CHECKING:
    from torch import Tensor

    from embedder.prompts.prompt import Prompt

ADAPTER = "adapter"


@dataclass(frozen=True, slots=True, eq=False)
class Adapted:
    """A model and what of it learns.

    Attributes:
        backbone: model and tokenizer; the model has the adapters in it.
        options: how it was loaded, with nothing left to `auto`.
        stored: type in which the weights were stored, and will be again.
        digest: tells weights and tokenizer from others, as they were loaded.
        peft: the PEFT model around it, or None where all weights learn.
    """

    backbone: Backbone
    options: LLMOptions
    stored: str
    digest: str
    peft: Any | None

    @property
    def learning(self) -> "dict[str, Tensor]":
        """The tensors that learn, by name."""
        model = self.backbone.model
        return {n: p for n, p in model.named_parameters() if p.requires_grad}


def load_adapted(model: str | Path, settings: FineTuneSettings, device: Device) -> Adapted:
    """Load a model and make it ready to learn; the same settings give the same weights.

    Raises:
        ValueError: it cannot be loaded, PEFT is missing, or no layer has a name in `targets`.
    """
    import torch

    # Adam's steps are too small for half-precision weights; frozen weights may be in it.
    dtype = "auto" if settings.lora else "float32"
    backbone, options = load_backbone(model, LLMOptions(dtype=dtype, device=device.name))
    net: Any = backbone.model
    digest = f"{weights_digest(net)}-{tokenizer_digest(backbone.tokenizer)}"
    peft = None
    if settings.lora:
        torch.manual_seed(settings.seed)  # PEFT draws from the global generator only
        peft = _with_adapters(net, settings.lora)
    else:
        net.requires_grad_(True)
    if settings.recompute:
        net.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    if device.compile:
        for layer in decoder_layers(net):
            layer.compile(dynamic=True)
    return Adapted(backbone, options, _stored(model), digest, peft)


def export(adapted: Adapted, prompt: "Prompt", folder: Path) -> None:
    """Write merged weights, tokenizer and prompt; the model is of no use for training after.

    The adapter alone lies in a folder inside, for PEFT.
    """
    import torch

    model: Any = adapted.backbone.model
    folder.mkdir(parents=True, exist_ok=True)
    with filling(folder) as new:
        if adapted.peft is not None:
            adapted.peft.save_pretrained(new / ADAPTER)
            model.float()  # merged in full precision, rounded once
            model = adapted.peft.merge_and_unload()
        model.to(getattr(torch, adapted.stored))
        model.save_pretrained(new)
        adapted.backbone.tokenizer.save_pretrained(new)
        (new / "prompt.toml").write_text(format_prompt(prompt), encoding="utf-8")


def _stored(model: str | Path) -> str:
    """Return the type that a model's own configuration names."""
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(model_place(str(model)))
    return str(getattr(config, "dtype", None) or "float32").removeprefix("torch.")


def _with_adapters(net: Any, lora: Lora) -> Any:  # noqa: ANN401
    try:
        from peft import LoraConfig, get_peft_model
    except ImportError as error:
        raise ValueError(
            "[lora] needs PEFT: pip install 'lastword[train]'; without [lora] all weights learn"
        ) from error
    targets = ALL_LINEAR if lora.targets == (ALL_LINEAR,) else list(lora.targets)
    config = LoraConfig(
        r=lora.r,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=targets,
        task_type="CAUSAL_LM",
    )
    try:
        with warnings.catch_warnings():  # of names in transformers that PEFT still uses
            warnings.simplefilter("ignore", FutureWarning)
            return get_peft_model(net, config)
    except ValueError as error:
        reason = str(error).split("\n")[0]
        raise ValueError(f"lora.targets do not fit this model: {reason}") from error
