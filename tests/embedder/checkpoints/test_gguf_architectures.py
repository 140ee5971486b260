"""GGUF files of other architectures give the logits of their source, or are refused in a line."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from tokenizers import Regex, pre_tokenizers
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaTokenizer

from embedder.checkpoints.gguf import convert_gguf
from embedder.checkpoints.gguf_file import ARCHITECTURES
from tests.gguf_files import write_gguf
from tests.models import LINES, save_tokenizer

pytestmark = [
    pytest.mark.usefixtures("model_cache"),
    pytest.mark.filterwarnings("ignore:Converting"),
]
SHAPE = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "initializer_range": 0.3,
    "pad_token_id": 1,
}
LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 500_000.0,
    "factor": 32.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}
CASES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "falcon": ("falcon", "Falcon", {"tie_word_embeddings": True}),
    "llama": ("llama", "Llama", {}),
    "llama 3": ("llama", "Llama", {"head_dim": 32, "rope_parameters": LLAMA3}),
    "llama, tied, wide heads": ("llama", "Llama", {"head_dim": 16, "tie_word_embeddings": True}),
    "mistral": ("llama", "Mistral", {"sliding_window": None}),
    "nemotron": ("nemotron", "Nemotron", {}),
    "phi3": ("phi3", "Phi3", {}),
    "phi3, window": ("phi3", "Phi3", {"sliding_window": 8}),
    "qwen2": ("qwen2", "Qwen2", {}),
    "qwen2, tied": ("qwen2", "Qwen2", {"tie_word_embeddings": True}),
    "qwen3": ("qwen3", "Qwen3", {"head_dim": 128}),
    "stablelm": ("stablelm", "StableLm", {}),
    "starcoder2": ("starcoder2", "Starcoder2", {"sliding_window": None}),
}
SPLITS = [*LINES, "in  1998\n\n2001  don't DON'T a.b,c 12345 x-1  ", "\u00e9t\u00e9\t(3.5)"]


def save_model(folder: Path, name: str, **more: object) -> Path:
    """Save a small random model, with norms and biases that are not all ones and zeros."""
    torch.manual_seed(0)
    folder.mkdir()
    config = getattr(transformers, f"{name}Config")
    kind = getattr(transformers, f"{name}{'LMHeadModel' if name == 'GPT2' else 'ForCausalLM'}")
    model = kind(config(vocab_size=save_tokenizer(folder), **{**SHAPE, **more}))
    with torch.no_grad():
        for key, weights in model.named_parameters():
            if "norm" in key or "bias" in key:
                weights.add_(0.1 * torch.randn_like(weights))
    model.save_pretrained(folder)
    return folder


def logits(folder: Path, tokens: Path) -> np.ndarray:
    tokenizer = AutoTokenizer.from_pretrained(tokens)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    with torch.inference_mode():
        rows = [model(tokenizer(line, return_tensors="pt").input_ids).logits[0] for line in LINES]
    return torch.cat(rows).numpy()


@pytest.mark.parametrize("case", CASES)
def test_an_architecture_gives_the_logits_of_its_source(case: str, tmp_path: Path) -> None:
    architecture, name, more = CASES[case]
    source = save_model(tmp_path / "source", name, **more)
    file = write_gguf(source, tmp_path / "m.gguf", architecture=architecture)
    folder = convert_gguf(file)
    assert np.array_equal(logits(folder, source), logits(source, source))


def test_the_positions_of_a_llama_3_are_scaled_again(tmp_path: Path) -> None:
    """Converters write down the scaling as a tensor, which transformers passes over."""
    source = save_model(tmp_path / "source", "Llama", rope_parameters=LLAMA3)
    folder = convert_gguf(write_gguf(source, tmp_path / "m.gguf"))
    assert transformers.AutoConfig.from_pretrained(folder).rope_parameters == LLAMA3


def test_every_architecture_has_a_case() -> None:
    assert {architecture for architecture, *_ in CASES.values()} == set(ARCHITECTURES)


@pytest.mark.parametrize(
    ("name", "architecture", "more", "reason"),
    [
        ("Llama", "llama", {"attention_bias": True}, "hold 56,960 numbers, of which"),
        (
            *("Llama", "llama"),
            {"rope_parameters": {**LLAMA3, "original_max_position_embeddings": 4096}},
            "rope_freqs are not those of a Llama 3",
        ),
        ("Mistral", "llama", {"sliding_window": 8}, "sliding_window is 8"),
        ("Qwen3", "qwen3", {"head_dim": 16}, "parameters"),
        ("Gemma", "gemma", {"head_dim": 16}, "of architecture gemma; of GGUF files, expected"),
        ("Gemma2", "gemma2", {"head_dim": 16}, "of architecture gemma2"),
    ],
)
def test_what_transformers_would_leave_out_is_refused(
    name: str,
    architecture: str,
    more: dict[str, Any],
    reason: str,
    tmp_path: Path,
    model_cache: Path,
) -> None:
    """Biases, windows and scales were left out without a word: logits were off by 5 of 7."""
    source = save_model(tmp_path / "source", name, **more)
    file = write_gguf(source, tmp_path / "m.gguf", architecture=architecture)
    with pytest.raises(ValueError, match=reason) as caught:
        convert_gguf(file)
    assert "\n" not in str(caught.value) and str(file) in str(caught.value)
    assert not list(model_cache.rglob("*.*"))


@pytest.mark.parametrize(
    "more",
    [
        {"rope__scaling__type": "yarn", "rope__scaling__factor": 4.0},
        {"rope__scaling__factor": 8.0},
        {"attention__key_length": 16.0},
        {"attention__layer_norm_epsilon": 0.5},
    ],
)
def test_keys_that_transformers_passes_over_are_refused(
    more: dict[str, Any], llama: Path, tmp_path: Path
) -> None:
    file = write_gguf(llama, tmp_path / "m.gguf", **more)
    key = next(iter(more)).replace("__", ".")
    with pytest.raises(ValueError, match=rf"m\.gguf: {key} is .*, and transformers would take"):
        convert_gguf(file)


def retokenized(llama: Path, folder: Path, split: str) -> Path:
    """Copy a model, and have its tokenizer split texts in another way."""
    tokenizer = AutoTokenizer.from_pretrained(llama)
    inner = tokenizer.backend_tokenizer
    if split == "starcoder":
        digits = pre_tokenizers.Digits(individual_digits=True)
        parts = [digits, pre_tokenizers.ByteLevel(add_prefix_space=False)]
    else:
        from transformers.integrations.gguf.gguf_tokenizer_mapping import GGUF_PRE_TOKENIZER_SPLITS

        first = pre_tokenizers.Split(Regex(GGUF_PRE_TOKENIZER_SPLITS[split]), "isolated")
        parts = [first, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    inner.pre_tokenizer = pre_tokenizers.Sequence(parts)
    AutoModelForCausalLM.from_pretrained(llama).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("split", ["llama-bpe", "tekken", "starcoder"])
def test_texts_are_split_as_by_the_source(split: str, llama: Path, tmp_path: Path) -> None:
    source = retokenized(llama, tmp_path / "source", split)
    folder = convert_gguf(write_gguf(source, tmp_path / "m.gguf", split=split))
    ours, want, other = map(AutoTokenizer.from_pretrained, (folder, source, llama))
    assert [ours(text).input_ids for text in SPLITS] == [want(text).input_ids for text in SPLITS]
    assert [want(text).input_ids for text in SPLITS] != [other(text).input_ids for text in SPLITS]


def test_an_unknown_split_is_refused(llama: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"tokenizer\.ggml\.pre is 'viking', and how that"):
        convert_gguf(write_gguf(llama, tmp_path / "m.gguf", split="viking"))


def test_a_sentencepiece_vocabulary_is_read_as_by_its_source(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    pieces = ["\u2581", *"abcdefghijklmnopqrstuvwxyz.,?"]
    merges = [("\u2581", "t"), ("h", "e"), ("\u2581t", "he"), ("i", "n"), ("e", "r"), ("o", "n")]
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *pieces]
    tokens[259:259] = [left + right for left, right in merges]
    vocabulary = {token: at for at, token in enumerate(tokens)}
    tokenizer = LlamaTokenizer(vocab=vocabulary, merges=merges, add_bos_token=True)
    tokenizer.save_pretrained(source)
    config = transformers.LlamaConfig(vocab_size=len(tokens), **SHAPE)
    transformers.LlamaForCausalLM(config).save_pretrained(source)
    folder = convert_gguf(write_gguf(source, tmp_path / "m.gguf"))
    ours, want = map(AutoTokenizer.from_pretrained, (folder, source))
    assert [ours(text).input_ids for text in SPLITS] == [want(text).input_ids for text in SPLITS]
