"""Recipes: what an index writes down about how the encoder of a channel is made again."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from embedder.checkpoints.bundled import BUNDLED_NAME
from embedder.files.config_file import fill, parse_json, parse_toml
from embedder.files.typed_values import fill_value
from embedder.prompts.files import load_prompt

if TYPE_CHECKING:
    from embedder.prompts.prompt import Prompt

CHANNELS = ("dense", "sparse", "bm25")


@dataclass(frozen=True, slots=True)
class LLMSpec:
    """A language model read through a prompt.

    Attributes:
        model: Hugging Face name, absolute folder, or BUNDLED_NAME.
        prompt: the whole prompt in TOML, so that an index outlives a prompt file.
        reads: "dense", "sparse" or both; one pass gives both.
        dtype: as in LLMOptions; resolved, so that another machine computes the same.
        max_text_tokens: as in LLMOptions.
    """

    model: str
    prompt: str
    reads: tuple[str, ...]
    dtype: str = "auto"
    max_text_tokens: int = 512
    kind: str = "llm"


@dataclass(frozen=True, slots=True)
class SbertSpec:
    """A sentence-transformers model.

    Attributes:
        model: Hugging Face name or absolute folder.
        prompt: the whole prompt in TOML; "" means the prompts that the model carries.
    """

    model: str
    prompt: str = ""
    kind: str = "sbert"


@dataclass(frozen=True, slots=True)
class BM25Spec:
    """BM25 text analysis in a language.

    Attributes:
        language: as in BM25Encoder.
        analysis: rules by which words are cut; 1 where an index does not say, since it is old.
    """

    language: str = "english"
    analysis: int = 1
    kind: str = "bm25"


EncoderSpec = LLMSpec | SbertSpec | BM25Spec
_KINDS: Mapping[str, type[EncoderSpec]] = {"llm": LLMSpec, "sbert": SbertSpec, "bm25": BM25Spec}


def to_json(recipe: EncoderSpec) -> str:
    """Write a recipe as canonical JSON."""
    return json.dumps(asdict(recipe), sort_keys=True, ensure_ascii=False)


def from_json(text: str, channel: str) -> EncoderSpec:
    """Read a recipe back.

    Raises:
        ValueError: it is none, e.g. because the index was made by another program.
    """
    where = f"the recipe of channel {channel!r}"
    data = parse_json(text, where)
    if not isinstance(data, dict) or data.get("kind") not in [*_KINDS]:
        raise ValueError(
            f"the index does not say how channel {channel!r} reads texts; "
            "search it from Python with retrieval.retriever.Retriever, or choose other --channels"
        )
    recipe = fill(_KINDS[data["kind"]], data, where)
    if not isinstance(recipe, BM25Spec) and recipe.prompt:
        prompt_name(recipe.prompt, f"{where}, its prompt")
    return recipe


def prompt_name(prompt: str, where: str = "the prompt") -> str:
    """Return what a prompt in TOML is called; errors begin with `where`."""
    return fill_value(str, parse_toml(prompt, where).get("name"), f"{where}: name")  # type: ignore[no-any-return]


def fusion_for(asked: str, recipes: Mapping[str, EncoderSpec], chosen: str = "") -> str:
    """Return the fusion that is asked for, or what `auto` means for these channels.

    That is `chosen`, the index's own, then what a prompt names (its model was measured beside
    BM25), then the default. The first two are followed where they weigh exactly these channels.
    """
    from retrieval.fusion_choice import choose_fusion

    prompts = [recipe.prompt for recipe in recipes.values() if not isinstance(recipe, BM25Spec)]
    measured = (str(parse_toml(prompt, "the prompt").get("fusion", "")) for prompt in prompts)
    return choose_fusion(asked, list(recipes), (chosen, *measured))


def read_prompt(name: str) -> "Prompt":
    """Read a prompt by name or file, whose fusion must be one of ours, of channels of ours.

    Raises:
        ValueError: as of `load_prompt`; or the fusion, which would be found out by a search.
    """
    from retrieval.fusion import fusion_by_name

    prompt = load_prompt(name)
    kind, _, written = prompt.fusion.partition(":")
    weighed = [part.partition("=")[0].strip() for part in written.split(",") if part]
    channels = [channel for channel in weighed if (kind, channel) != ("rrf", "k")]
    if prompt.fusion:
        try:
            fusion_by_name(prompt.fusion, channels)
        except ValueError as error:
            raise ValueError(f"{name}: fusion: {error}") from error
    if unknown := [channel for channel in channels if channel not in CHANNELS]:
        raise ValueError(
            f"{name}: fusion weighs {unknown[0]!r}; channels are {', '.join(CHANNELS)}"
        )
    return prompt


def describe_spec(recipe: EncoderSpec) -> str:
    """Describe a recipe in a few words."""
    if isinstance(recipe, BM25Spec):
        rules = " by the first rules" if recipe.analysis == 1 else ""
        return f"{recipe.language} words{rules}"
    if isinstance(recipe, SbertSpec):
        model = f"sbert:{recipe.model}"
        return f"{model}, prompt {prompt_name(recipe.prompt)}" if recipe.prompt else model
    model = "the bundled model" if recipe.model == BUNDLED_NAME else recipe.model
    return f"{model}, prompt {prompt_name(recipe.prompt)}"


def describe_specs(recipes: Mapping[str, EncoderSpec]) -> str:
    """Describe all channels in one line; channels that share a recipe are named together."""
    channels: dict[EncoderSpec, list[str]] = {}
    for name, recipe in recipes.items():
        channels.setdefault(recipe, []).append(name)
    return "; ".join(
        f"{describe_spec(recipe)} ({', '.join(names)})" for recipe, names in channels.items()
    )
