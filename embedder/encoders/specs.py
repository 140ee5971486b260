"""Encoder specs: what is written down of an encoder, by which the same one is loaded again."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from embedder.checkpoints.addresses import is_remote
from embedder.checkpoints.named_models import MODEL_NAMES
from embedder.checkpoints.variant import DEFAULT_VARIANT, ModelVariant
from embedder.files.config_file import fill, parse_json
from embedder.files.typed_values import fill_value
from embedder.lucene.spec import LuceneSpec
from embedder.prompts.files import format_prompt, parse_prompt
from embedder.prompts.method_rules import PostRules
from embedder.prompts.prompt import Prompt
from embedder.remote.spec import RemoteSpec as RemoteSpec
from embedder.types import Encoder

CHANNELS = ("dense", "sparse", "bm25")
NO_SPEC = "{}"  # what an index keeps of an encoder of one's own class


@dataclass(frozen=True, slots=True)
class LLMSpec:
    """A language model that is read through a prompt.

    Attributes:
        model: Hugging Face name, absolute folder or GGUF file, or one of MODEL_NAMES.
        prompt: the whole prompt, so that an index outlives a prompt file.
        reads: "dense", "sparse" or both; one pass gives both.
        dtype: as in LLMOptions; resolved, so that another machine computes the same.
        max_text_tokens: as in LLMOptions.
        variant: the form of the model: its revision, and whether it is quantised.
    """

    model: str
    prompt: Prompt
    reads: tuple[str, ...]
    dtype: str = "auto"
    max_text_tokens: int = 512
    kind: str = "llm"
    variant: ModelVariant = DEFAULT_VARIANT


@dataclass(frozen=True, slots=True)
class SbertSpec:
    """A sentence-transformers model.

    Attributes:
        model: Hugging Face name or absolute folder.
        prompt: None means the prompts that the model carries.
        variant: the form of the model.
    """

    model: str
    prompt: Prompt | None = None
    kind: str = "sbert"
    variant: ModelVariant = DEFAULT_VARIANT


@dataclass(frozen=True, slots=True)
class BM25Spec:
    """BM25 text analysis in one language or several, as in BM25Encoder.

    Attributes:
        language: as in BM25Encoder.
        analysis: rules by which words are cut; 1 where an index does not say, since it is old.
        stop_words: the words themselves, so that an index outlives a file; None is the lists of
            the languages.
        fields: as in BM25Encoder.
        language_field: as in BM25Encoder.
    """

    language: str = "english"
    analysis: int = 1
    kind: str = "bm25"
    stop_words: tuple[str, ...] | None = None
    fields: str = ""
    language_field: str = ""


EncoderSpec = LLMSpec | SbertSpec | RemoteSpec | BM25Spec | LuceneSpec
WordSpec = BM25Spec | LuceneSpec
"""Specs of encoders that read words by rules, without a model."""
_KINDS: Mapping[str, type[EncoderSpec]] = {
    "llm": LLMSpec,
    "sbert": SbertSpec,
    "remote": RemoteSpec,
    "bm25": BM25Spec,
    "lucene": LuceneSpec,
}


def to_json(spec: EncoderSpec) -> str:
    """Write a spec as canonical JSON, its prompt as TOML.

    A variant, and what BM25 was told beyond a language, are written only where there is some.
    """
    stored: dict[str, Any] = {field.name: getattr(spec, field.name) for field in fields(spec)}
    if isinstance(spec, BM25Spec):
        stored = {key: value for key, value in stored.items() if value is not None and value != ""}
    if "prompt" in stored:
        stored["prompt"] = format_prompt(stored["prompt"]) if stored["prompt"] else ""
    variant = stored.pop("variant", DEFAULT_VARIANT)
    stored |= {"variant": variant.facts} if variant.facts else {}
    return json.dumps(stored, sort_keys=True, ensure_ascii=False)


def from_json(text: str, channel: str) -> EncoderSpec:
    """Read a spec back.

    Raises:
        ValueError: it is none, e.g. because the index was made by another program.
    """
    place = f"the recipe of channel {channel!r}"
    data = parse_json(text, place)
    if not isinstance(data, dict) or data.get("kind") not in [*_KINDS]:
        raise ValueError(
            f"the index does not say how channel {channel!r} reads texts: choose others of its "
            "channels (--channels), or say it when its rows are imported (lastword import with "
            "--model or --embedder); an encoder of your own searches it from Python"
        )
    if "prompt" in data:
        if toml := fill_value(str, data.pop("prompt"), f"{place}: prompt"):
            data["prompt"] = parse_prompt(toml, f"{place}, its prompt")
    return fill(_KINDS[data["kind"]], data, place)


def spec_of(encoder: Encoder) -> EncoderSpec | None:
    """Return the spec of an encoder; None where nothing could load the encoder again by one."""
    spec: EncoderSpec | None = getattr(encoder, "spec", None)
    return spec


def specs_of(encoders: Mapping[str, Encoder]) -> dict[str, EncoderSpec]:
    """Return the specs of encoders by channel; those without one are left out."""
    specs = {name: spec_of(encoder) for name, encoder in encoders.items()}
    return {name: spec for name, spec in specs.items() if spec is not None}


def channels_of(encoder: Encoder) -> tuple[str, ...]:
    """Return the channels that an encoder of `load_encoder` feeds, in the order of CHANNELS."""
    spec = known_spec(encoder)
    if isinstance(spec, WordSpec):
        return ("bm25",)
    if isinstance(spec, SbertSpec | RemoteSpec):
        return ("sparse" if getattr(encoder, "sparse", False) else "dense",)
    return tuple(name for name in CHANNELS if name in spec.reads)


def post_rules_of(encoder: Encoder) -> PostRules | None:
    """Return what an encoder's prompt says is done to its dense rows in an index, or None."""
    prompt: Prompt | None = getattr(encoder, "prompt", None)
    return prompt.post if prompt is not None else None


def known_spec(encoder: Encoder) -> EncoderSpec:
    """Return the spec of an encoder that `load_encoder` has loaded.

    Raises:
        ValueError: it is an encoder of one's own.
    """
    spec = spec_of(encoder)
    if spec is None:
        raise ValueError(f"{type(encoder).__name__} has no spec; load it with load_encoder")
    return spec


def stored_spec(encoder: Encoder) -> str:
    """Return what an index keeps of an encoder: its spec as JSON, or NO_SPEC."""
    spec = spec_of(encoder)
    return NO_SPEC if spec is None else to_json(spec)


def models_of(spec: EncoderSpec) -> list[str]:
    """Return the models that a spec names: the one that reads, and the one that rewrites."""
    if isinstance(spec, WordSpec):
        return []
    rewrite = spec.prompt.rewrite if spec.prompt else None
    return [spec.model, *([rewrite.writer] if rewrite and rewrite.writer else [])]


def full_place(model: str | Path) -> str:
    """Return a model's path in full, since an index is searched from anywhere; names stay."""
    name = str(model)
    named = name in MODEL_NAMES or is_remote(name)
    return str(Path(name).resolve()) if not named and Path(name).exists() else name


def with_full_paths(prompt: Prompt) -> Prompt:
    """Name the files and folders of a prompt in full, since an index is searched from anywhere."""
    if prompt.adapt:
        path, _, digest = prompt.adapt.rpartition("#")
        prompt = replace(prompt, adapt=f"{Path(path).resolve()}#{digest}")
    if prompt.rewrite is not None and prompt.rewrite.writer:
        rewrite = replace(prompt.rewrite, writer=full_place(prompt.rewrite.writer))
        prompt = replace(prompt, rewrite=rewrite)
    return prompt
