"""LLMEncoder against a plain transformers loop, on decoder shapes of several families."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from embedder.encoders.llm import LLMEncoder
from embedder.encoders.load import own_prompt
from embedder.models.anatomy import decoder_layers
from embedder.models.backbone import Backbone
from embedder.models.batching import plan, right_pad
from embedder.models.loading import LLMOptions, load_backbone
from embedder.models.request import ReadRequest
from embedder.prompts.files import load_prompt
from embedder.prompts.method_rules import PrependingRules
from embedder.prompts.prompt import Prompt
from embedder.prompts.readout_rules import ReadoutRules, SparseRules
from embedder.prompts.template import PromptVariant, Template
from embedder.types import Role, fingerprint_differences
from tests.models import LINES, load_llm, save_llama, save_tokenizer

SHAPES = {
    "llama": {"num_key_value_heads": 2},
    "mistral": {"num_key_value_heads": 2, "sliding_window": 16},
    "qwen2": {"num_key_value_heads": 2},
    "qwen3": {"num_key_value_heads": 2, "head_dim": 8},
    "gemma2": {"num_key_value_heads": 2, "head_dim": 8, "sliding_window": 16},
    "gpt_neox": {},
    "opt": {"ffn_dim": 64, "word_embed_proj_dim": 32},
    "gpt2": {"n_embd": 32, "n_layer": 3, "n_head": 4, "n_positions": 512},
}
TEXTS = [*LINES, "", "the of and", " ".join(LINES * 3)]


def shaped(folder: Path, kind: str) -> Path:
    """Save a random model of a family, with the test tokenizer."""
    vocab = save_tokenizer(folder)
    common = {
        "vocab_size": vocab + 3,  # tables are often padded past the tokenizer
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "max_position_embeddings": 512,
        "initializer_range": 0.2,
        "bos_token_id": 0,
        "eos_token_id": 1,
        "pad_token_id": 1,
    }
    torch.manual_seed(1)
    config = AutoConfig.for_model(kind, **(common | SHAPES[kind]))
    AutoModelForCausalLM.from_config(config, attn_implementation="eager").save_pretrained(folder)
    return folder


def by_hand(encoder: LLMEncoder, text: str, role: Role) -> tuple[np.ndarray, np.ndarray]:
    """One unpadded text, all logits, all hidden states, as the paper's code does."""
    frame = encoder.reader.frames[role][0]
    ids = encoder.backbone.tokenizer(text, add_special_tokens=False).input_ids
    whole = [*frame.prefix, *ids[: encoder.options.max_text_tokens], *frame.ending]
    with torch.no_grad():
        out = encoder.backbone.model(torch.tensor([whole]), output_hidden_states=True)
    states = torch.stack([state[0, -1] for state in out.hidden_states])
    return states.numpy(), out.logits[0, -1].numpy()


@pytest.mark.parametrize("kind", SHAPES)
def test_every_family_reads_as_a_plain_loop_does(tmp_path: Path, kind: str) -> None:
    encoder = load_llm(shaped(tmp_path, kind), options=LLMOptions(dtype="float32"))
    got = encoder.encode(TEXTS, Role.DOCUMENT)
    assert got.dense is not None and got.sparse is not None
    assert got.owner.tolist() == list(range(len(TEXTS)))
    for row, text in enumerate(TEXTS):
        states, logits = by_hand(encoder, text, Role.DOCUMENT)
        unit = states[-1] / np.linalg.norm(states[-1])
        assert np.abs(got.dense[row] - unit).max() < 2e-5
        weights = np.log1p(np.maximum(logits, 0))
        found = got.sparse[row]
        assert np.abs(found.data - weights[found.indices]).max(initial=0) < 2e-5


@pytest.mark.parametrize("kind", ["llama", "gemma2", "gpt2"])
@pytest.mark.parametrize("layer", [0, 1, 2, -2])
@pytest.mark.parametrize("logits", [True, False])
def test_inner_layers_are_read_with_and_without_the_rest(
    tmp_path: Path, kind: str, layer: int, logits: bool
) -> None:
    prompt = load_prompt("promptreps")
    reading = ReadoutRules(layer=layer, sparse=SparseRules() if logits else None)
    prompt = Prompt("inner", prompt.forms, reading)
    encoder = load_llm(shaped(tmp_path, kind), prompt, LLMOptions(dtype="float32"))
    got = encoder.encode(LINES, Role.QUERY)
    assert got.dense is not None
    for row, text in enumerate(LINES):
        state = by_hand(encoder, text, Role.QUERY)[0][layer]
        assert np.abs(got.dense[row] - state / np.linalg.norm(state)).max() < 2e-5


def test_blocks_above_the_one_read_do_not_run(llama: Path) -> None:
    prompt = Prompt("low", load_prompt("promptreps").forms, ReadoutRules(layer=1, sparse=None))
    encoder = load_llm(llama, prompt)
    ran: list[int] = []
    for number, block in enumerate(encoder.backbone.layers):
        block.register_forward_hook(lambda *_, number=number: ran.append(number))
    encoder.encode(["warm the prefix"], Role.QUERY)
    ran.clear()
    encoder.encode(["one text"], Role.QUERY)
    assert ran == [0]


def test_a_layer_that_does_not_exist_is_named(llama: Path) -> None:
    prompt = Prompt("high", load_prompt("promptreps").forms, ReadoutRules(layer=7, sparse=None))
    with pytest.raises(ValueError, match="layer 7 does not exist: the model has 3 blocks"):
        load_llm(llama, prompt).encode(["x"], Role.QUERY)


def test_the_logits_of_all_positions_are_never_made(llama: Path) -> None:
    encoder = load_llm(llama)
    shapes: list[tuple[int, ...]] = []
    head = encoder.backbone.model.get_output_embeddings()
    head.register_forward_hook(lambda _, __, out: shapes.append(tuple(out.shape)))
    encoder.encode(LINES, Role.DOCUMENT)
    assert shapes == [(len(LINES), 1, encoder.backbone.vocab)]


def test_a_batch_of_one_equals_a_batch_of_many(llama: Path) -> None:
    encoder = load_llm(llama)
    together = encoder.encode(TEXTS, Role.DOCUMENT)
    for row, text in enumerate(TEXTS):
        alone = encoder.encode([text], Role.DOCUMENT)
        assert together.dense is not None and alone.dense is not None
        assert together.sparse is not None and alone.sparse is not None
        assert np.abs(together.dense[row] - alone.dense[0]).max() < 2e-6
        assert together.sparse[row].indices.tolist() == alone.sparse[0].indices.tolist()


def test_windows_do_not_change_rows(llama: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = load_llm(llama)
    whole = encoder.encode(TEXTS, Role.DOCUMENT)
    monkeypatch.setattr("embedder.encoders.llm.WINDOW", 3)
    cut = encoder.encode(TEXTS, Role.DOCUMENT)
    assert whole.dense is not None and cut.dense is not None
    assert np.abs(whole.dense - cut.dense).max() < 2e-6
    assert cut.owner.tolist() == list(range(len(TEXTS)))
    assert len(encoder.encode([], Role.QUERY)) == 0


def test_without_memory_the_budget_is_halved_and_remembered(llama: Path) -> None:
    encoder = load_llm(llama, options=LLMOptions(token_budget=4096))
    want = encoder.encode(TEXTS, Role.DOCUMENT)
    read, sizes = encoder.backbone.read, []

    def small(
        prefix: tuple[int, ...], rows: list[list[int]], *rest: object, **more: object
    ) -> object:
        sizes.append(len(rows))
        if len(rows) > 2:
            raise torch.OutOfMemoryError("as a full device says it")
        return read(prefix, rows, *rest, **more)  # type: ignore[arg-type]

    encoder.backbone.read = small  # type: ignore[method-assign, assignment]
    got = encoder.encode(TEXTS, Role.DOCUMENT)
    assert want.dense is not None and got.dense is not None
    assert np.abs(want.dense - got.dense).max() < 2e-6
    failures = sum(size > 2 for size in sizes)
    encoder.encode(TEXTS, Role.DOCUMENT)
    assert sum(size > 2 for size in sizes) == failures > 0


def test_only_the_text_is_cut_and_the_cut_is_counted(llama: Path) -> None:
    encoder = load_llm(llama, options=LLMOptions(max_text_tokens=4))
    long, short = " ".join(LINES), "the"
    row = encoder.prepare([long, short], Role.QUERY)[0].wordings[0]
    frame = encoder.reader.frames[Role.QUERY][0]
    around = len(frame.prefix) + len(frame.ending)
    assert row.ids[-len(frame.ending) :] == frame.ending and len(row.ids) == 4 + around
    assert encoder.counts["truncated"] == 1 and encoder.counts["texts"] == 2
    assert encoder.counts["without_words"] == 1


def test_a_text_that_is_cut_in_a_later_wording_only_is_counted(llama: Path) -> None:
    """The placeholders of {sentences} take room: the first wording held the text, and none was
    counted, while the second lost its end."""
    backbone, options = load_backbone(llama, LLMOptions())
    length = len(backbone.tokenizer("lava flows", add_special_tokens=False).input_ids)
    options = replace(options, max_text_tokens=length)
    wordings = (Template("{placeholder} {text} means"), Template("{sentences} means"))
    prompt = Prompt(
        "two",
        (PromptVariant("plain", wordings, wordings),),
        ReadoutRules(sparse=None),
        prepend=PrependingRules(),
    )
    encoder = LLMEncoder(backbone, prompt, options)
    (text,) = encoder.prepare(["lava flows"], Role.QUERY)
    assert [row.truncated for row in text.wordings] == [False, True]
    assert encoder.counts["truncated"] == 1


def test_the_limit_leaves_room_for_the_prompt(llama: Path) -> None:
    encoder = load_llm(llama, options=LLMOptions(max_text_tokens=10_000))
    frame = max(len(frames[0]) for frames in encoder.reader.frames.values())
    assert encoder.options.max_text_tokens == 512 - frame


def test_nan_from_a_model_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    save_llama(tmp_path)
    for channel in ("dense", "sparse"):  # NaN once looked like absent terms
        encoder = load_llm(tmp_path, channels=[channel])
        with torch.no_grad():  # numbers that overflow on the way, as in half precision
            encoder.backbone.model.model.norm.weight[0] = float("nan")
        with pytest.raises(ValueError, match="NaN or infinity for text 0"):
            encoder.encode(["x", "y"], Role.DOCUMENT)


def test_the_fingerprint_follows_what_changes_a_vector(llama: Path, tmp_path: Path) -> None:
    held = load_llm(llama).fingerprint
    assert load_llm(save_llama(tmp_path / "same")).fingerprint == held
    other = load_llm(save_llama(tmp_path / "other", seed=5)).fingerprint
    assert [line.split(":")[0] for line in fingerprint_differences(held, other)] == ["weights"]
    short = load_llm(llama, options=LLMOptions(max_text_tokens=9)).fingerprint
    assert fingerprint_differences(held, short)[0].startswith("max_text_tokens: index has")


def test_a_model_may_carry_its_prompt(tmp_path: Path) -> None:
    assert own_prompt("smollm2").name == "smollm2"
    save_llama(tmp_path)
    assert own_prompt(tmp_path).name == "promptreps"
    (tmp_path / "prompt.toml").write_text(
        "name = 'mine'\n[query]\ntemplate = 'q {text} is'\n[document]\ntemplate = '{text} is'\n"
    )
    assert load_llm(tmp_path).prompt.name == "mine"


@pytest.mark.parametrize("place", ["folder", "file", "weights"])
def test_a_wrong_model_is_one_line(tmp_path: Path, place: str) -> None:
    if place == "weights":
        save_llama(tmp_path)
        (tmp_path / "model.safetensors").write_bytes(b"not a safetensors file")
    elif place == "file":
        (tmp_path / "config.json").write_text(json.dumps({"model_type": "no-such-type"}))
    with pytest.raises(ValueError, match=r"model|config\.json") as caught:
        load_llm(tmp_path)
    assert "\n" not in str(caught.value)


def test_only_the_channels_that_are_wanted_are_computed(llama: Path) -> None:
    dense = load_llm(llama, channels=["dense"]).encode(LINES, Role.QUERY)
    sparse = load_llm(llama, channels=["sparse"]).encode(LINES, Role.QUERY)
    assert dense.sparse is None and sparse.dense is None


def test_batches_hold_every_text_once_and_respect_the_budget() -> None:
    lengths = [5, 1, 9, 3, 30, 2]
    batches = plan(lengths, shared=1, budget=20)
    assert sorted(np.concatenate(batches).tolist()) == list(range(6))
    assert [batch.tolist() for batch in batches] == [[4], [2, 0], [3, 5, 1]]
    equal = plan([3, 5, 3, 5], shared=0, budget=100, equal=True)
    assert [batch.tolist() for batch in equal] == [[1, 3], [0, 2]]
    ids, last = right_pad([[1, 2, 3], [4]])
    assert ids.tolist() == [[1, 2, 3], [4, 0, 0]] and last.tolist() == [2, 0]


def test_the_decoder_stack_is_found_without_names(llama: Path) -> None:
    model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(llama)
    assert decoder_layers(model) is model.model.layers
    backbone = Backbone(model, AutoTokenizer.from_pretrained(llama))
    step = backbone.read((), [[1, 2, 3]], ReadRequest())
    assert step.hidden is not None and step.hidden.shape == (1, 32)
