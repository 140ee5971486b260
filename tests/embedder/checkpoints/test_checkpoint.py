"""A model is read only where all that is read of it was in its checkpoint."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from embedder.models.loading import LLMOptions
from embedder.prompts.files import load_prompt
from embedder.types import Role
from lastword.main import main
from tests.models import LINES, load_llm, save_llama, save_tokenizer

Arrays = dict[str, np.ndarray[Any, Any]]
INSTRUCT = load_prompt("e5-mistral")  # reads dense rows only


@pytest.fixture(scope="module")
def headless(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model as XxxModel.save_pretrained writes it, such as e5-mistral-7b-instruct."""
    folder = save_llama(tmp_path_factory.mktemp("headless"), chat=False)
    change(folder, lambda arrays: {n: a for n, a in arrays.items() if n != "lm_head.weight"})
    return folder


def change(folder: Path, edit: Callable[[Arrays], Arrays]) -> None:
    """Rewrite a folder's weights."""
    file = folder / "model.safetensors"
    save_file(edit(load_file(file)), file, {"format": "pt"})


def configure(folder: Path, **values: object) -> None:
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


def refusal(folder: Path, options: LLMOptions | None = None) -> str:
    """Load for dense rows and return the line that says why that is not done."""
    with pytest.raises(ValueError) as caught:
        load_llm(folder, INSTRUCT, options)
    assert "\n" not in str(caught.value) and str(folder) in str(caught.value)
    return str(caught.value)


def test_a_head_that_nothing_reads_may_be_missing(headless: Path) -> None:
    first, again = (load_llm(headless, INSTRUCT) for _ in range(2))
    assert first.fingerprint == again.fingerprint  # the random head does not count
    whole = load_llm(save_llama(headless.parent / "whole", chat=False), INSTRUCT)
    got, want = (one.encode(LINES, Role.QUERY).dense for one in (first, whole))
    assert got is not None and want is not None and got.tobytes() == want.tobytes()


def test_an_index_of_a_headless_model_is_searched(
    headless: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    texts, index = tmp_path / "two.jsonl", str(tmp_path / "m.idx")
    texts.write_text('{"_id": "a", "text": "green tea"}\n{"_id": "b", "text": "hot lava"}\n')
    model = ["--model", str(headless), "--prompt", "e5-mistral", "-q"]
    assert main(["index", str(texts), "-o", index, *model, "--channels", "dense,bm25"]) == 0
    assert main(["search", index, "lava", "-q"]) == 0
    assert main(["index", str(texts), "-o", index + "2", "--model", str(headless), "-q"]) == 2
    assert "no LM head (lm_head.weight is missing)" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["promptreps", "geneol"])
def test_what_reads_words_needs_the_head(headless: Path, name: str) -> None:
    from embedder.encoders.load import load_encoder

    with pytest.raises(ValueError, match="no LM head"):
        load_encoder(headless, load_prompt(name))


def test_a_missing_weight_is_named(tmp_path: Path) -> None:
    name = "model.layers.1.mlp.up_proj.weight"
    change(save_llama(tmp_path), lambda arrays: {n: a for n, a in arrays.items() if n != name})
    assert f"weight {name} is missing" in refusal(tmp_path)


def test_no_weights_at_all_are_missing_weights(tmp_path: Path) -> None:
    change(save_llama(tmp_path), lambda arrays: {})
    assert "of different models" in refusal(tmp_path)


def test_weights_of_another_architecture_are_refused(tmp_path: Path) -> None:
    configure(save_llama(tmp_path), model_type="gpt_neox", architectures=["GPTNeoXForCausalLM"])
    assert "is missing" in refusal(tmp_path)


def test_a_weight_that_would_be_left_out_is_named(tmp_path: Path) -> None:
    """Biases of Qwen2 under a Llama's configuration: nothing is missing, and all is wrong."""
    name = "model.layers.0.self_attn.q_proj.bias"
    change(save_llama(tmp_path), lambda arrays: arrays | {name: np.ones(32, np.float32)})
    assert f"weight {name} is stored" in refusal(tmp_path)


@pytest.mark.parametrize("blocks", [1, 2, 4, 10**9])
def test_other_blocks_than_are_stored_are_refused(tmp_path: Path, blocks: int) -> None:
    configure(save_llama(tmp_path), num_hidden_layers=blocks)
    refusal(tmp_path)


def test_another_shape_is_named_with_both(tmp_path: Path) -> None:
    configure(save_llama(tmp_path), intermediate_size=48)
    said = refusal(tmp_path)
    assert "mlp.down_proj.weight is stored as 32x64 and config.json describes 32x48" in said


def test_a_configuration_of_far_more_takes_no_memory(tmp_path: Path) -> None:
    configure(save_llama(tmp_path), vocab_size=10**13)
    assert "of different models" in refusal(tmp_path)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_without_a_number_are_refused(tmp_path: Path, value: float) -> None:
    """In the embedding of a rare word they would show only once a text has it."""

    def spoil(arrays: Arrays) -> Arrays:
        arrays["model.embed_tokens.weight"][-1, 3] = value
        return arrays

    change(save_llama(tmp_path), spoil)
    assert "model.embed_tokens.weight holds NaN or infinity" in refusal(tmp_path)


def test_numbers_that_half_precision_cannot_hold_are_refused(tmp_path: Path) -> None:
    def grow(arrays: Arrays) -> Arrays:
        arrays["model.layers.0.mlp.up_proj.weight"] *= np.float32(1e6)
        return arrays

    change(save_llama(tmp_path), grow)
    load_llm(tmp_path, INSTRUCT, LLMOptions(dtype="float32"))
    assert "as float16" in refusal(tmp_path, LLMOptions(dtype="float16", device="cpu"))


def test_a_tokenizer_larger_than_the_table_is_refused(tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(save_llama(tmp_path))
    tokenizer.add_tokens(["<extra1>", "<extra2>"])
    tokenizer.save_pretrained(tmp_path)
    assert "2 tokens beyond" in refusal(tmp_path) and "'<extra1>'" in refusal(tmp_path)


@pytest.mark.parametrize("kind", ["Bert", "Roberta"])
@pytest.mark.parametrize("head", ["ForMaskedLM", "Model", "ForMaskedLM as decoder", "CausalLM"])
def test_encoders_are_no_causal_models(tmp_path: Path, kind: str, head: str) -> None:
    """Their tokens see those after them: cosine .5 to .9 between a row alone and in a batch."""
    import torch
    import transformers

    torch.manual_seed(0)
    name = {"CausalLM": "LMHeadModel" if kind == "Bert" else "ForCausalLM"}.get(head, head)
    config = getattr(transformers, f"{kind}Config")(
        vocab_size=save_tokenizer(tmp_path), hidden_size=32, intermediate_size=64,
        num_hidden_layers=2, num_attention_heads=4, pad_token_id=1,
    )  # fmt: skip
    getattr(transformers, kind + name.split()[0])(config).save_pretrained(tmp_path)
    configure(tmp_path, is_decoder=head.endswith("as decoder"))
    assert "is not a causal language model" in refusal(tmp_path)


def test_encoder_decoders_and_other_kinds_are_refused(tmp_path: Path) -> None:
    import transformers

    vocab = save_tokenizer(tmp_path / "t5")
    small = transformers.T5Config(vocab_size=vocab, d_model=32, d_ff=32, num_layers=1, num_heads=2)
    transformers.T5ForConditionalGeneration(small).save_pretrained(tmp_path / "t5")
    assert "is an encoder-decoder (T5ForConditionalGeneration)" in refusal(tmp_path / "t5")
    save_tokenizer(tmp_path / "vit")
    sight = transformers.ViTConfig(hidden_size=32, num_hidden_layers=1, num_attention_heads=2)
    transformers.ViTModel(sight).save_pretrained(tmp_path / "vit")
    assert "there is none of type 'vit'" in refusal(tmp_path / "vit")


def test_a_decoder_of_an_encoders_kind_is_read(tmp_path: Path) -> None:
    import torch
    import transformers

    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=save_tokenizer(tmp_path), hidden_size=32, intermediate_size=64, is_decoder=True,
        num_hidden_layers=2, num_attention_heads=4, initializer_range=0.3,
    )  # fmt: skip
    transformers.BertLMHeadModel(config).save_pretrained(tmp_path)
    encoder = load_llm(tmp_path, INSTRUCT)
    together = encoder.encode(LINES, Role.DOCUMENT).dense
    for row, text in enumerate(LINES):
        alone = encoder.encode([text], Role.DOCUMENT).dense
        assert together is not None and alone is not None
        assert np.abs(together[row] - alone[0]).max() < 2e-6


def test_a_model_without_causal_masks_is_read_in_both_directions_only(tmp_path: Path) -> None:
    """As sentence embedders made of causal models are published, with is_causal = false."""
    configure(save_llama(tmp_path, chat=False), is_causal=False)
    assert "is not a causal language model" in refusal(tmp_path)
    prompt = load_prompt("gritlm")
    assert prompt.reading.attention == "bidirectional"
    encoder = load_llm(tmp_path, prompt)
    together = encoder.encode(LINES, Role.DOCUMENT).dense
    for row, text in enumerate(LINES):
        alone = encoder.encode([text], Role.DOCUMENT).dense
        assert together is not None and alone is not None
        assert np.abs(together[row] - alone[0]).max() < 2e-6
