"""Examples from the collection (RICE): which texts are drawn, and what the model calls them."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedder.encoders.llm import LLMEncoder
from embedder.encoders.load import load_encoder
from embedder.encoders.rice import draw_examples, first_word, show_examples
from embedder.models.greedy import greedy_answers
from embedder.models.loading import LLMOptions, load_backbone
from embedder.prompts.files import format_prompt, load_prompt, parse_prompt
from embedder.prompts.method_rules import ExampleRules
from embedder.types import Role
from tests.models import LINES, load_llm, save_llama


@given(n=st.integers(3, 60), seed=st.integers(0, 9))
def test_a_sample_is_drawn_once_in_order_and_again_alike(n: int, seed: int) -> None:
    texts = [f"text {i}" if i % 4 else " " for i in range(2 * n)]
    rule = ExampleRules(count=3, seed=seed)
    drawn = draw_examples(iter(texts), rule)
    assert drawn == draw_examples(iter(texts), rule)
    places = [texts.index(text) for text in drawn]
    assert places == sorted(places) and len(set(places)) == 3 and all(i % 4 for i in places)


def test_every_text_is_as_likely() -> None:
    """10 of 100, 2,000 seeds: each is drawn 200 times, +- 5 sigma of 13.4."""
    counts = [0] * 100
    for seed in range(2000):
        for text in draw_examples((str(i) for i in range(100)), ExampleRules(count=10, seed=seed)):
            counts[int(text)] += 1
    assert all(abs(count - 200) < 67 for count in counts)


def test_a_collection_that_is_too_small_says_so() -> None:
    with pytest.raises(ValueError, match="shows 5 texts of the collection, which has 1"):
        draw_examples(["one", " "], ExampleRules(count=5))


@pytest.mark.parametrize("chat", [True, False])
def test_words_are_the_models_own(tmp_path: Path, chat: bool) -> None:
    folder = save_llama(tmp_path, chat=chat)
    prompt = load_prompt("rice")
    rule = ExampleRules(count=2, max_tokens=5)
    prompt = replace(prompt, sample=rule)
    opened = load_encoder(folder, prompt, texts=LINES)
    assert isinstance(opened, LLMEncoder)
    filled = opened.prompt
    assert len(filled.examples) == 2 and filled.sample == rule
    assert parse_prompt(format_prompt(filled)) == filled
    backbone, options = load_backbone(folder, LLMOptions())
    asked = LLMEncoder(backbone, replace(filled, sample=None, examples=()), options)
    for example in filled.examples:
        row = asked.fed(example.text, Role.DOCUMENT).wordings[0]
        (said,) = greedy_answers(backbone, (), [row.ids], 8)
        assert example.word == first_word(backbone.tokenizer.decode(list(said.ids)))
    encoder = LLMEncoder(backbone, filled, options)
    prefix = backbone.tokenizer.decode(encoder.reader.frames[Role.QUERY][0].prefix)
    assert all(example.text in prefix for example in filled.examples)
    assert encoder.fingerprint != asked.fingerprint


def test_the_word_is_the_first() -> None:
    assert first_word(' "Paris" is the capital') == "Paris"
    assert first_word(' ,"') == first_word("") == ""


def test_an_unfilled_prompt_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"shows the model texts of your collection"):
        load_llm(save_llama(tmp_path), load_prompt("rice"))


def test_examples_that_do_not_fit_are_named(tmp_path: Path) -> None:
    backbone, options = load_backbone(save_llama(tmp_path), LLMOptions())
    prompt = replace(load_prompt("rice"), sample=ExampleRules(count=5, max_tokens=200))
    long = show_examples(prompt, [" ".join(LINES * 4)] * 5, backbone, options)
    with pytest.raises(ValueError, match="the prompt with its examples takes all"):
        LLMEncoder(backbone, long, options)
