"""Recipes: what an index writes down about how the encoder of a channel is made again."""

import json
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from embedder.bundled import BUNDLED_NAME


@dataclass(frozen=True, slots=True)
class LLMRecipe:
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
class SbertRecipe:
    """A sentence-transformers model.

    Attributes:
        model: Hugging Face name or absolute folder.
        prompt: the whole prompt in TOML; "" means the prompts that the model carries.
    """

    model: str
    prompt: str = ""
    kind: str = "sbert"


@dataclass(frozen=True, slots=True)
class BM25Recipe:
    """BM25 text analysis in a language.

    Attributes:
        language: as in BM25Encoder.
        analysis: rules by which words are cut; 1 where an index does not say, since it is old.
    """

    language: str = "english"
    analysis: int = 1
    kind: str = "bm25"


Recipe = LLMRecipe | SbertRecipe | BM25Recipe
_KINDS: Mapping[str, type[Recipe]] = {"llm": LLMRecipe, "sbert": SbertRecipe, "bm25": BM25Recipe}


def to_json(recipe: Recipe) -> str:
    """Write a recipe as canonical JSON."""
    return json.dumps(asdict(recipe), sort_keys=True, ensure_ascii=False)


def from_json(text: str, channel: str) -> Recipe:
    """Read a recipe back.

    Raises:
        ValueError: it is none, e.g. because the index was made by another program.
    """
    data: dict[str, Any] = json.loads(text)
    try:
        if "reads" in data:
            data["reads"] = tuple(data["reads"])
        return _KINDS[data["kind"]](**data)
    except (KeyError, TypeError) as error:
        raise ValueError(
            f"the index does not say how channel {channel!r} reads texts; "
            "search it from Python with retrieval.retriever.Retriever, or choose other --channels"
        ) from error


def fusion_for(asked: str, recipes: Mapping[str, Recipe], chosen: str = "") -> str:
    """Return the fusion that is asked for, or what `auto` means for these channels.

    That is `chosen`, the index's own, then what a prompt names (its model was measured beside
    BM25), then the default. The first two are followed where they weigh exactly these channels.
    """
    from retrieval.fusion_choice import choose_fusion

    prompts = [recipe.prompt for recipe in recipes.values() if not isinstance(recipe, BM25Recipe)]
    measured = (str(tomllib.loads(prompt).get("fusion", "")) for prompt in prompts)
    return choose_fusion(asked, list(recipes), (chosen, *measured))


def said(recipe: Recipe) -> str:
    """Describe a recipe in a few words."""
    if isinstance(recipe, BM25Recipe):
        rules = " by the first rules" if recipe.analysis == 1 else ""
        return f"{recipe.language} words{rules}"
    if isinstance(recipe, SbertRecipe):
        model = f"sbert:{recipe.model}"
        return f"{model}, prompt {tomllib.loads(recipe.prompt)['name']}" if recipe.prompt else model
    model = "the bundled model" if recipe.model == BUNDLED_NAME else recipe.model
    return f"{model}, prompt {tomllib.loads(recipe.prompt)['name']}"


def spoken(recipes: Mapping[str, Recipe]) -> str:
    """Describe all channels in one line; channels that share a recipe are named together."""
    channels: dict[Recipe, list[str]] = {}
    for name, recipe in recipes.items():
        channels.setdefault(recipe, []).append(name)
    return "; ".join(f"{said(recipe)} ({', '.join(names)})" for recipe, names in channels.items())
