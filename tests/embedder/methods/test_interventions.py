"""Token Prepending, its hierarchical form, and Contrastive Prompting on every shape of model."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from embedder.inputs.tokenized import TokenizedText
from embedder.methods.contrastive import contrasted
from embedder.methods.token_prepending import TokenPrepending
from embedder.prompts.method_rules import ContrastRules, PrependingRules
from embedder.prompts.prompt import Prompt
from embedder.prompts.readout_rules import ReadoutRules
from embedder.prompts.template import PromptVariant, Template
from embedder.types import Role
from tests.models import save_tokenizer
from tests.shapes import DEPTH, SHAPES, SPREAD, save_shape
from tests.slow import TEXTS, TOLERANCE, Pair, far

PLAIN = 'This sentence : "{text}" means in one word:"'
ONE = 'This sentence : {placeholder} "{text}" means in one word:"'
THREE = '{placeholder}This {placeholder} sentence : "{text}{placeholder}" in one word:"'
# It ends unlike the others: else all that a short window shows the last token were the same, and
# the length of v would be given to a difference of rounding errors.
OTHER = 'The irrelevant information of this sentence : "{text}" said in one word :"'
MEAN = ReadoutRules(span="text", pool="mean", layer=-2, sparse=None)


def asks(wording: str, tokens: Any = "whole", **rules: Any) -> Prompt:  # noqa: ANN401
    template = (Template(wording, tokens=tokens),)
    reading = rules.pop("reading", ReadoutRules(sparse=None))
    return Prompt("asks", (PromptVariant("own", template, template),), reading, **rules)


def against(restore: bool = False, block: int | float = 2) -> ContrastRules:
    return ContrastRules(Template(OTHER, tokens="whole"), block, 1.5, restore)


PROMPTS = {
    "tp": asks(ONE, prepend=PrependingRules(1, 4)),
    "tp in pieces": asks(ONE, tokens="pieces", prepend=PrependingRules(1, 4)),
    "tp inside": asks(
        ONE, prepend=PrependingRules(1, 4), reading=ReadoutRules(layer=3, sparse=None)
    ),
    "tp from the embeddings": asks(ONE, prepend=PrependingRules(0, 2)),
    "tp after two blocks": asks(ONE, prepend=PrependingRules(2, 4)),
    "tp through all blocks": asks(ONE, prepend=PrependingRules(1, DEPTH)),
    "tp thrice": asks(THREE, prepend=PrependingRules(1, 4)),
    "tp thrice in pieces": asks(THREE, tokens="pieces", prepend=PrependingRules(1, 4)),
    "tp, mean": asks(ONE, prepend=PrependingRules(1, 4), reading=MEAN),
    "cp": asks(PLAIN, contrast=against()),
    "cp restored": asks(PLAIN, contrast=against(restore=True)),
    "cp at the first block": asks(PLAIN, contrast=against(block=0)),
    "cp at the last block": asks(PLAIN, contrast=against(block=DEPTH - 1)),
    "cp in pieces": asks(PLAIN, tokens="pieces", contrast=against()),
    "htp": asks(
        "{bos}Text:{front}{sentences} {eos}",
        tokens="pieces",
        prepend=PrependingRules(1, 4),
        reading=MEAN,
    ),
    "htp without a front": asks(
        "{sentences}", tokens="pieces", prepend=PrependingRules(1, 4), reading=MEAN
    ),
    "tp and cp": asks(ONE, prepend=PrependingRules(1, 4), contrast=against()),
    "tp and cp restored": asks(
        ONE, prepend=PrependingRules(1, 4), contrast=against(restore=True, block=4)
    ),
}


@pytest.fixture(scope="module", params=SHAPES)
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return Pair.load(save_shape(request.param, tmp_path_factory.mktemp(request.param)))


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return Pair.load(save_shape("llama", tmp_path_factory.mktemp("llama")))


@pytest.mark.parametrize("name", PROMPTS)
def test_states_are_those_of_the_slow_reference(pair: Pair, name: str) -> None:
    encoder = pair.encoder(PROMPTS[name])
    got = encoder.states(TEXTS, Role.QUERY)
    assert far(got, pair.wanted(encoder, TEXTS, Role.QUERY)) <= TOLERANCE
    assert far(encoder.states(TEXTS[1:2], Role.QUERY), got[1:2]) <= TOLERANCE


def test_a_placeholder_is_scaled_as_the_embeddings_are(tmp_path: Path) -> None:
    # Gemma 2 multiplies what leaves its table, Gemma 3 does so inside of it.
    pair = Pair.load(save_gemma_3(tmp_path))
    for name in ("tp", "tp after two blocks", "htp"):  # before one block a norm takes the scale
        encoder = pair.encoder(PROMPTS[name])
        got = encoder.states(TEXTS, Role.QUERY)
        assert far(got, pair.wanted(encoder, TEXTS, Role.QUERY)) <= TOLERANCE


def save_gemma_3(folder: Path) -> Path:
    from transformers import Gemma3ForCausalLM, Gemma3TextConfig

    config = Gemma3TextConfig(
        vocab_size=save_tokenizer(folder),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=DEPTH,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=16,
        sliding_window=8,
        initializer_range=SPREAD,
        pad_token_id=None,
    )
    torch.manual_seed(0)
    Gemma3ForCausalLM(config).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("name", ["tp", "cp", "cp restored"])
def test_a_rule_changes_what_is_read(pair: Pair, name: str) -> None:
    prompt = PROMPTS[name]
    got = pair.encoder(prompt).states(TEXTS, Role.QUERY)
    weaker = (
        replace(prompt, prepend=PrependingRules(1, 3))
        if prompt.prepend
        else replace(prompt, contrast=None)
    )
    assert far(pair.encoder(weaker).states(TEXTS, Role.QUERY), got) > 10 * TOLERANCE


def test_a_pass_leaves_the_model_as_it_was(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    model = pair.backbone.model
    table = model.get_input_embeddings().weight
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    prompt = PROMPTS["tp and cp"]
    pair.encoder(prompt).states(TEXTS, Role.QUERY)

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("in the middle")

    encoder = pair.encoder(prompt)
    monkeypatch.setattr(pair.backbone.layers[3], "forward", fail)
    with pytest.raises(RuntimeError, match="in the middle"):
        encoder.states(TEXTS, Role.QUERY)
    assert not [name for name, module in model.named_modules() if hooks(module)]
    assert model.get_input_embeddings().weight is table
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def hooks(module: nn.Module) -> int:
    return len(module._forward_hooks) + len(module._forward_pre_hooks)


def test_a_fraction_of_a_flat_model_is_one_block_at_least(llama: Pair) -> None:
    small, one = (asks(ONE, prepend=PrependingRules(1, end)) for end in (0.1, 2))
    got, want = (llama.encoder(prompt).states(TEXTS, Role.QUERY) for prompt in (small, one))
    assert np.array_equal(got, want)


def test_an_empty_text_can_be_read(llama: Pair) -> None:
    for name in ("tp", "cp", "htp", "tp and cp"):
        encoder = llama.encoder(PROMPTS[name])
        got = encoder.states(["", *TEXTS], Role.QUERY)
        assert far(got[1:], encoder.states(TEXTS, Role.QUERY)) <= TOLERANCE
        assert far(got[:1], encoder.states([""], Role.QUERY)) <= TOLERANCE


def test_an_exit_beyond_the_last_block_means_the_last(llama: Pair) -> None:
    """The published program's own default is 99, for models of any depth; it was an error here."""
    beyond, last = (asks(ONE, prepend=PrependingRules(1, end)) for end in (99, 6))
    got, want = (llama.encoder(prompt).states(TEXTS, Role.QUERY) for prompt in (beyond, last))
    assert np.array_equal(got, want)


def test_blocks_that_a_model_lacks_are_refused(llama: Pair) -> None:
    with pytest.raises(ValueError, match=r"prepend.start 6 does not exist: the model has 6 blocks"):
        llama.encoder(asks(ONE, prepend=PrependingRules(6, 7)))  # before a text is encoded
    with pytest.raises(ValueError, match=r"contrast.block 6 does not exist: the model has 6"):
        llama.encoder(asks(PLAIN, contrast=against(block=6)))


def test_a_prefix_that_holds_a_placeholder_is_refused(llama: Pair) -> None:
    row = TokenizedText([5, 6, 7, 8], state_copies=[(3, 1)])
    prepend = TokenPrepending(llama.backbone, PrependingRules(1, 4), [row], placeholder=6)
    with pytest.raises(ValueError, match="the first placeholder stands at 1"):
        prepend.attach(seen=2)


def test_a_contrast_by_hand() -> None:
    # v - v_aux = (3, 0), and v is 5 long.
    v, other = torch.tensor([[3.0, 4.0]]), torch.tensor([[0.0, 4.0]])
    template = Template("{text}")
    assert contrasted(v, other, ContrastRules(template, 2, 2.0)).tolist() == [[6.0, 0.0]]
    restored = contrasted(v, other, ContrastRules(template, 2, 1.0, restore=True))
    assert torch.allclose(restored, torch.tensor([[5.0, 0.0]]))
    nothing = contrasted(v, v, ContrastRules(template, 2, 1.0, restore=True))
    assert nothing.tolist() == [[0.0, 0.0]]
