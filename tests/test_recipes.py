"""What an index writes down of its encoders, and how channels and fusions are chosen."""

import json
from dataclasses import replace

import pytest

from embedder.prompt import Prompt
from lastword.encoders import channel_names
from lastword.recipes import (
    BM25Recipe,
    LLMRecipe,
    Recipe,
    from_json,
    fusion_for,
    to_json,
)
from retrieval.fusion import DEFAULT


def test_a_recipe_cannot_ask_for_foreign_code() -> None:
    """An index from somebody else names a model; whether its code runs is for the user to say."""
    recipe = json.loads(to_json(LLMRecipe("x", "", ("dense",)))) | {"trust_remote_code": True}
    with pytest.raises(ValueError, match="dense"):
        from_json(json.dumps(recipe), "dense")


def test_a_prompts_own_fusion_is_taken_for_its_channels_only() -> None:
    own = "minmax:dense=0.2,bm25=0.8"
    plain = Prompt.load("promptreps")
    measured = LLMRecipe("m", replace(plain, fusion=own).to_toml(), ("dense",))
    recipes: dict[str, Recipe] = {"dense": measured, "bm25": BM25Recipe()}
    unmeasured = LLMRecipe("m", plain.to_toml(), ("dense",))
    assert fusion_for("auto", recipes) == own
    assert fusion_for("rrf", recipes) == "rrf"
    assert fusion_for("auto", {"dense": measured, "sparse": measured}) == DEFAULT
    assert fusion_for("auto", {**recipes, "dense": unmeasured}) == DEFAULT
    assert replace(plain, fusion=own).hash == plain.hash


def test_channels_are_split_by_commas() -> None:
    assert channel_names("bm25, dense") == ["bm25", "dense"]
    assert channel_names("") == []
    for wrong in ("dense,dense", "dens", "dense,"):
        with pytest.raises(ValueError, match="--channels"):
            channel_names(wrong)
