"""Which form of a model is loaded: all that changes its vectors beside weights and prompt."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from embedder.arguments import check_fields
from embedder.checkpoints.named_models import MODEL_NAMES
from embedder.files.typed_values import fill_value

Backend = Literal["torch", "onnx", "openvino"]
Quantisation = Literal["none", "8bit", "4bit"]
_PLAIN: Mapping[str, object] = {
    "revision": "",
    "quantize": "none",
    "backend": "torch",
    "truncate_dim": 0,
    "prompt_names": [],
}


@dataclass(frozen=True, slots=True)
class ModelVariant:
    """A form of a model. Every model has some of these, and refuses the others.

    Attributes:
        revision: branch, tag or commit on the Hugging Face hub; "" is the newest.
        quantize: 8bit or 4bit rounds weights while they are loaded, by bitsandbytes.
        backend: what computes a sentence-transformers model: torch, onnx or openvino.
        truncate_dim: leading dimensions of a dense row that are kept, of a model that was trained
            for it (Kusupati et al., NeurIPS 2022); 0 keeps all.
        prompt_names: prompts that the model itself carries, by name: one for queries and
            documents, or one for each; none is what the model names for them.

    >>> variant = lw.ModelVariant(truncate_dim=256, prompt_names=("query", "passage"))
    >>> options = lw.LLMOptions(variant=variant)  # lw.load_encoder("sbert:NAME", options=options)
    >>> options.variant.truncate_dim
    256
    """

    revision: str = ""
    quantize: Quantisation = "none"
    backend: Backend = "torch"
    truncate_dim: int = 0
    prompt_names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_fields(self)
        fill_value(Quantisation, self.quantize, "quantize")
        fill_value(Backend, self.backend, "backend")
        if self.truncate_dim < 0:
            raise ValueError(f"truncate_dim must be at least 0; got {self.truncate_dim}")
        if len(self.prompt_names) > 2 or "" in self.prompt_names:
            raise ValueError(
                "prompt_names takes one name, or one for queries and one for documents; "
                f"got {list(self.prompt_names)}"
            )

    @property
    def facts(self) -> dict[str, Any]:
        """What is not as it is by default, by name, as JSON holds it."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        values["prompt_names"] = list(self.prompt_names)
        return {name: value for name, value in values.items() if value != _PLAIN[name]}

    @property
    def changes(self) -> dict[str, Any]:
        """What of it changes vectors of the same weights and wording, for a fingerprint."""
        told = ("quantize", "backend", "truncate_dim")
        return {name: value for name, value in self.facts.items() if name in told}

    def check(self, model: str, known: Collection[str]) -> None:
        """Refuse what a kind of model does not have.

        Args:
            model: which, for messages.
            known: names of fields that it has.

        Raises:
            ValueError: names the first other field that is set.
        """
        if strange := [name for name in self.facts if name not in known]:
            takes = f"it takes {', '.join(known)}" if known else "it has one form only"
            raise ValueError(f"{model} has no {strange[0]}: {takes}")

    def check_revision(self, name: str) -> None:
        """Refuse a revision of what is not on the hub, where it would be passed over.

        Raises:
            ValueError: the model is a folder, a file, or one of the names that lastword knows.
        """
        if self.revision and (name in MODEL_NAMES or Path(name).exists() or "\0" in name):
            raise ValueError(f"revision is of models on the Hugging Face hub; {name} is none")

    def quantisation(self, device: str) -> dict[str, Any]:
        """Return what transformers is told, where weights are rounded while they are loaded.

        Raises:
            ValueError: bitsandbytes is not installed.
        """
        if self.quantize == "none":
            return {}
        if find_spec("bitsandbytes") is None:
            raise ValueError(
                f"quantize {self.quantize} needs bitsandbytes, which is not installed: "
                "pip install bitsandbytes"
            )
        from transformers import BitsAndBytesConfig

        bits = BitsAndBytesConfig(**{f"load_in_{self.quantize}": True}, bnb_4bit_quant_type="nf4")
        return {"quantization_config": bits, "device_map": device}

    def prompt_name(self, query: bool) -> str:
        """Return the name of the prompt of a side, "" where none is chosen."""
        if not self.prompt_names:
            return ""
        return self.prompt_names[0 if query else -1]


DEFAULT_VARIANT = ModelVariant()
