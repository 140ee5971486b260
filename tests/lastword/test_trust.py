"""An index from somebody else chooses no model: its user does, and is asked once."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from embedder.checkpoints.trust import ModelAccess, is_hub_name, remember_models, state_folder
from embedder.checkpoints.variant import ModelVariant
from embedder.encoders.specs import EncoderSpec, LLMSpec, SbertSpec, known_spec, to_json
from embedder.models.loading import LLMOptions
from embedder.prompts.files import load_prompt
from embedder.prompts.method_rules import RewritingRules
from embedder.prompts.prompt import Prompt
from embedder.rerank.load import load_reranker
from lastword.cli.encoders import model_channels
from lastword.cli.options import EncoderOptions
from lastword.main import main
from retrieval.open import check_spec, load_specs, open_retriever
from tests.models import save_llama

PLAIN = load_prompt("prompteol")
HUB = "someone/model"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LASTWORD_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def llm(model: str, prompt: Prompt = PLAIN) -> LLMSpec:
    return LLMSpec(model, prompt, ("dense",))


def written_by(model: str) -> LLMSpec:
    return llm("bundled", replace(PLAIN, rewrite=RewritingRules(writer=model)))


KINDS: list[Callable[[str], EncoderSpec]] = [llm, SbertSpec, written_by]


@pytest.mark.parametrize("kind", KINDS)
def test_a_name_on_the_hub_is_asked_for_once(kind: Callable[[str], EncoderSpec]) -> None:
    recipe = kind(HUB)
    for allowed in ("", "someone/else"):
        with pytest.raises(ValueError, match="add --allow-model someone/model"):
            check_spec(recipe, ModelAccess(allow_model=allowed))
    check_spec(recipe, ModelAccess(allow_model=HUB))
    check_spec(recipe, ModelAccess())


def test_each_revision_is_asked_for_by_itself() -> None:
    """Anybody can propose a change to a model that others trust: refs/pr/7 is a revision."""
    remember_models([HUB])
    for revision in ("refs/pr/7", "v1"):
        recipe = SbertSpec(HUB, variant=ModelVariant(revision=revision))
        for allowed in ("", HUB):
            with pytest.raises(ValueError, match=f"add --allow-model {HUB}@{revision}"):
                check_spec(recipe, ModelAccess(allow_model=allowed))
        check_spec(recipe, ModelAccess(allow_model=f"{HUB}@{revision}"))
        check_spec(recipe, ModelAccess())
    remember_models([HUB], "v2")
    check_spec(SbertSpec(HUB, variant=ModelVariant(revision="v2")), ModelAccess())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["stranger.index/model", "./m", "../m", "m", "a/b/c", "~/m"])
def test_a_folder_beside_the_index_is_never_read(
    kind: Callable[[str], EncoderSpec], name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Named like a model of the hub, too: libraries prefer the folder."""
    monkeypatch.chdir(tmp_path)
    if not name.startswith("~"):
        Path(name).mkdir(parents=True, exist_ok=True)
    remember_models([name])
    with pytest.raises(ValueError, match="relative to the working directory"):
        check_spec(kind(name), ModelAccess(allow_model=name))


@pytest.mark.parametrize("kind", KINDS)
def test_full_paths_and_the_bundled_model_need_no_question(
    kind: Callable[[str], EncoderSpec], tmp_path: Path
) -> None:
    check_spec(kind("bundled"), ModelAccess())
    check_spec(kind(str(tmp_path)), ModelAccess())


def test_a_file_that_adapts_has_a_full_path(tmp_path: Path) -> None:
    check_spec(llm("bundled", replace(PLAIN, adapt=f"{tmp_path}/a.safetensors#0")), ModelAccess())
    with pytest.raises(ValueError, match="which is not read"):
        check_spec(llm("bundled", replace(PLAIN, adapt="a.safetensors#0")), ModelAccess())


def test_a_model_that_the_user_names_instead_is_the_users() -> None:
    check_spec(llm(HUB), ModelAccess("/models/m"))
    with pytest.raises(ValueError, match="--allow-model"):  # --model is of language models
        check_spec(SbertSpec(HUB), ModelAccess("/models/m"))


def test_recipes_are_checked_before_a_model_is_loaded() -> None:
    with pytest.raises(ValueError, match="--allow-model"):
        load_specs({"dense": to_json(llm(HUB))})


def test_names_are_files_in_the_users_own_folder(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remember_models([HUB, "bundled", str(tmp_path), "gpt2"])
    assert {path.name for path in (home / "models").iterdir()} == {"someone%2Fmodel", "gpt2"}
    monkeypatch.delenv("LASTWORD_HOME")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    assert state_folder() == tmp_path / "state" / "lastword"
    monkeypatch.setenv("XDG_STATE_HOME", "relative")
    assert state_folder() == Path.home() / ".local" / "state" / "lastword"
    monkeypatch.setenv("LASTWORD_HOME", "/proc/nowhere")
    remember_models([HUB])  # cannot be kept: no error, but another question later
    assert is_hub_name(HUB) and not is_hub_name(str(tmp_path)) and not is_hub_name("")


@pytest.fixture
def cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep HUB in the cache of the hub, its branch main and its tag v1."""
    from huggingface_hub import constants

    cache = tmp_path / "cache"
    place = cache / "models--someone--model"
    (place / "refs").mkdir(parents=True)
    for name in ("main", "v1"):
        (place / "refs" / name).write_text("0" * 40)
    save_llama(place / "snapshots" / ("0" * 40))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))


@pytest.mark.usefixtures("cached")
def test_a_model_that_reranks_is_remembered_with_its_revision() -> None:
    """One revision was loaded, and the newest, which nobody had named, was trusted from then on."""
    load_reranker("maxsim", HUB, LLMOptions(variant=ModelVariant(revision="v1")))
    check_spec(SbertSpec(HUB, variant=ModelVariant(revision="v1")), ModelAccess())
    with pytest.raises(ValueError, match="add --allow-model someone/model "):
        check_spec(SbertSpec(HUB), ModelAccess())
    with pytest.raises(ValueError, match="cross-encoder:someone/model has no revision"):
        load_reranker(
            f"cross-encoder:{HUB}", options=LLMOptions(variant=ModelVariant(revision="v1"))
        )


@pytest.mark.usefixtures("cached")
def test_a_model_that_this_machine_indexed_with_is_known() -> None:
    reading = EncoderOptions(model=HUB, channels="dense", prompt="prompteol")
    recipe = known_spec(model_channels(reading)["dense"])
    assert isinstance(recipe, LLMSpec) and recipe.model == HUB
    check_spec(recipe, ModelAccess())


def test_files_of_a_prompt_are_kept_by_full_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    save_llama(Path("writer"))
    Path("mine.toml").write_text(
        'name = "m"\n[both]\ntemplate = "{text} is"\n[sparse]\nenabled = false\n'
        '[rewrite]\nwriter = "writer"\n'
    )
    recipe = known_spec(model_channels(EncoderOptions(prompt="mine.toml"))["dense"])
    assert str(tmp_path / "writer") in to_json(recipe)


def test_a_strangers_index_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import hashlib

    monkeypatch.chdir(tmp_path)
    Path("a.jsonl").write_text('{"_id": "a", "text": "green tea"}\n')
    assert main(["index", "a.jsonl", "-o", "s.index", "--channels", "bm25", "-q"]) == 0
    manifest = Path("s.index/manifest.json")
    Path("s.index/model").mkdir()
    for model, said in (("s.index/model", "relative to the working"), (HUB, "--allow-model")):
        data = json.loads(manifest.read_text())
        (channel,) = data["content"]["channels"]
        channel["recipe"] = json.dumps({"kind": "sbert", "model": model, "prompt": ""})
        text = json.dumps(data["content"], sort_keys=True, ensure_ascii=False).encode()
        data["checksum"] = hashlib.blake2b(text, digest_size=16).hexdigest()
        manifest.write_text(json.dumps(data))
        assert main(["search", "s.index", "tea", "-q"]) == 2
        err = capsys.readouterr().err
        assert said in err and model in err and err.count("\n") == 1
        with pytest.raises(ValueError, match=said) as raised:
            open_retriever("s.index")  # from Python, by the same line
        assert str(raised.value) in err
