"""What a prompt is said to cost, against a count of what goes through a model's blocks."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch

from embedder.encoders.llm import LLMEncoder
from embedder.inspect import cost as module
from embedder.inspect.cost import SENTENCE, prompt_cost
from embedder.models.backbone import Backbone
from embedder.models.loading import LLMOptions, load_backbone
from embedder.prompts.files import load_prompt, parse_prompt, prompt_library
from embedder.types import Role

LENGTH = 20  # tokens of SENTENCE, which is chosen so
PLAIN = "name = 'p'\n[both]\n"
DENSE = "[sparse]\nenabled = false\n"


@pytest.fixture(scope="module")
def bundled() -> Backbone:
    return load_backbone("bundled", LLMOptions())[0]


@pytest.fixture
def shallow(monkeypatch: pytest.MonkeyPatch, bundled: Backbone) -> Iterator[None]:
    """Count with the depth of the bundled model, so that fractions become the same blocks."""
    monkeypatch.setattr(module, "DEPTH", len(bundled.layers))
    module._count.cache_clear()
    yield


def counted(encoder: LLMEncoder) -> tuple[int, float]:
    """Encode the sentence; return passes, and tokens that went through all blocks."""
    encoder.encode(["Warm the prefix."], Role.DOCUMENT)
    lengths: dict[int, list[int]] = {}

    def note(at: int, states: torch.Tensor) -> None:
        lengths.setdefault(at, []).append(states.shape[0] * states.shape[1])

    blocks = encoder.backbone.layers
    handles = [
        # The attention, not the block: a pass that stops at a block calls its hooks all the same.
        block.self_attn.register_forward_pre_hook(  # type: ignore[union-attr]
            lambda _, args, named, at=at: note(at, named["hidden_states"]), with_kwargs=True
        )
        for at, block in enumerate(blocks)
    ]
    encoder.encode([SENTENCE], Role.DOCUMENT)
    for handle in handles:
        handle.remove()
    total = sum(sum(one) for one in lengths.values())
    return len(lengths.get(0, ())), total / len(blocks)


def fits(name: str) -> bool:
    """Tell whether a library prompt is read as it is by a model without special tokens."""
    prompt = load_prompt(name)
    extra = (prompt.rewrite, prompt.sample)
    marked = any(module._SPECIAL.search(template.text) for template in prompt.forms[0].all)
    return prompt.forms[0].needs == "" and extra == (None, None) and not marked


@pytest.mark.parametrize("name", [name for name in prompt_library() if fits(name)])
def test_what_is_said_is_what_goes_through_the_blocks(
    name: str, bundled: Backbone, shallow: None
) -> None:
    prompt = load_prompt(name)
    encoder = LLMEncoder(bundled, prompt, LLMOptions(device="cpu", token_budget=1024))
    passes, tokens = counted(encoder)
    told = prompt_cost(prompt)
    if encoder.backbone.depth_of(prompt.reading.layer):  # the embeddings alone are no pass
        assert told.passes == passes
    # A joint of text and wording may be one token more or less, and BOS is fed with some.
    assert told.tokens * LENGTH == pytest.approx(tokens, abs=2 * len(prompt.forms[0].document))


def test_the_endings_of_one_beginning_are_read_after_one_text(
    bundled: Backbone, shallow: None
) -> None:
    endings = "templates = ['Here : {text} in one word', 'Here : {text} as a colour , briefly']\n"
    prompt = parse_prompt(PLAIN + endings + DENSE)
    encoder = LLMEncoder(bundled, prompt, LLMOptions(device="cpu", token_budget=1024))
    passes, _ = counted(encoder)
    assert prompt_cost(prompt) == module.PromptCost(2, (LENGTH + 3 + 5) / LENGTH)
    assert passes == 2  # the second pads its endings to a length, which is not counted


def test_a_generated_token_is_a_pass(bundled: Backbone, shallow: None) -> None:
    wording = "template = 'In words : {text} words : \"'\n"
    rules = "[read]\nmode = 'multi-token-single'\ngenerated_tokens = 4\n"
    prompt = parse_prompt(PLAIN + wording + rules)
    encoder = LLMEncoder(bundled, prompt, LLMOptions(device="cpu", token_budget=1024))
    assert counted(encoder) == (4, LENGTH + 3 + 3)  # words : " and three generated
    assert prompt_cost(prompt) == module.PromptCost(4, (LENGTH + 3 + 3) / LENGTH)


def test_parts_of_the_depth_by_hand() -> None:
    said = PLAIN + "template = '{text} means :'\n"
    half = prompt_cost(parse_prompt(said + "[read]\nlayer = 0.5\n" + DENSE))
    assert half == module.PromptCost(1, (LENGTH + 2) / 2 / LENGTH)
    # Next words are said at the top, so that all blocks run.
    whole = prompt_cost(parse_prompt(said + "[read]\nlayer = 0.5\n"))
    assert whole == module.PromptCost(1, (LENGTH + 2) / LENGTH)
    auxiliary = "[contrast]\ntemplate = 'not {text}'\nblock = 7\n"  # blocks 0 to 7 of 32
    contrast = prompt_cost(parse_prompt(said + DENSE + auxiliary))
    assert contrast == module.PromptCost(2, (LENGTH + 2 + LENGTH * 8 / 32) / LENGTH)


def test_rewritings_are_written_and_read() -> None:
    geneol = load_prompt("geneol")
    alone = prompt_cost(replace(geneol, rewrite=None))
    told = prompt_cost(geneol)
    assert told.passes == 9 + 8 * LENGTH  # four kinds, two of each
    assert told.tokens > 9 * alone.tokens + 8 * 2


def test_chat_markup_and_special_tokens_count_one_each() -> None:
    chat = PLAIN + "user = 'Say : {text} now'\nprefill = 'Word :'\n"
    # now <|im_end|> <|im_start|> assistant Word :
    [answer] = {module._count("assistant")}
    assert prompt_cost(parse_prompt(chat)).tokens * LENGTH == LENGTH + 5 + answer
    marked = PLAIN + "template = '<|start_header_id|>{text}<|eot_id|></s>{eos}'\n"
    assert prompt_cost(parse_prompt(marked)).tokens * LENGTH == LENGTH + 3
