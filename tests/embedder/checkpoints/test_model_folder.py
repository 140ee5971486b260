"""Folders that hold no readable model are refused in a line that names the file."""

import json
from pathlib import Path

import pytest

from tests.models import load_llm, save_llama

WEIGHTS = "model.safetensors"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return save_llama(tmp_path / "m")


def refusal(folder: Path) -> str:
    with pytest.raises(ValueError) as caught:
        load_llm(folder)
    assert "\n" not in str(caught.value) and str(folder) in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("text", ["[]", "3", "null", "{", "[" * 100_000, "\x00"])
@pytest.mark.parametrize("name", ["config.json", "generation_config.json", "tokenizer_config.json"])
def test_a_file_that_is_no_json_object(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(text)
    assert refusal(folder).startswith(f"{folder / name}: ")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("hidden_size", "x"), ("hidden_size", 7), ("hidden_size", -8), ("hidden_size", None),
        ("num_attention_heads", 0), ("vocab_size", 0), ("vocab_size", -1), ("dtype", "float99"),
        ("pad_token_id", 10**9), ("num_hidden_layers", "x"), ("num_hidden_layers", 0),
        ("num_labels", 10**30), ("vision_config", {"num_hidden_layers": 10**12}),
        ("hidden_act", "x"), ("rms_norm_eps", "x"), ("head_dim", 10**12), ("model_type", []),
        ("rope_parameters", 3), ("rope_parameters", {"rope_type": "x"}),
        ("quantization_config", {"quant_method": "gptq", "bits": 4}),
        ("quantization_config", {"quant_method": "awq", "bits": 4}),
        ("quantization_config", 3),
    ],
)  # fmt: skip
def test_values_that_no_model_has(folder: Path, key: str, value: object) -> None:
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {key: value}))
    refusal(folder)


def test_half_a_file(folder: Path) -> None:
    whole = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(whole[: len(whole) // 2])
    assert f"{folder / WEIGHTS}: damaged or not downloaded" in refusal(folder)


def test_an_empty_file(folder: Path) -> None:
    (folder / WEIGHTS).write_bytes(b"")
    assert f"{folder / WEIGHTS}: damaged or not downloaded" in refusal(folder)


def test_pickled_weights_are_not_read(folder: Path) -> None:
    (folder / WEIGHTS).rename(folder / "pytorch_model.bin")
    assert "as pickles (pytorch_model.bin), which can run code" in refusal(folder)


def test_no_weights(folder: Path) -> None:
    (folder / WEIGHTS).unlink()
    assert "holds no weights" in refusal(folder)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"weight_map": {"a": "model-00001-of-00002.safetensors"}}, "which is missing"),
        ({"weight_map": {"a": "../m/moved.safetensors"}}, "is no name of a file beside it"),
        ({"weight_map": {"a": 3}}, "expected weight_map"),
        ({"weight_map": []}, "expected weight_map"),
        ({}, "expected weight_map"),
    ],
)
def test_an_index_of_shards_that_are_not_there(
    folder: Path, content: dict[str, object], said: str
) -> None:
    (folder / WEIGHTS).rename(folder / "moved.safetensors")
    (folder / (WEIGHTS + ".index.json")).write_text(json.dumps(content))
    assert said in refusal(folder)


def test_a_damaged_tokenizer(folder: Path) -> None:
    file = folder / "tokenizer.json"
    whole = json.loads(file.read_text())
    wrong = [whole | {"model": {"type": "x"}}, whole | {"pre_tokenizer": 3}]
    for content in ("[]", "{}", *map(json.dumps, wrong)):
        file.write_text(content)
        refusal(folder)
