"""Ways of reading that no prompt of the library takes, against the slow reference."""

import random
from typing import Any

import numpy as np
import pytest

from embedder.prompts.method_rules import ContrastRules, FilterRules, PrependingRules
from embedder.prompts.prompt import Prompt
from embedder.prompts.readout_rules import ReadoutRules
from embedder.prompts.template import PromptVariant, Template
from embedder.types import Role
from tests.shapes import SHAPES, save_shape
from tests.slow import TEXTS, TOLERANCE, Pair, far

MANY = 40  # prompts drawn for each shape
MORE_TEXTS = [*TEXTS, "", " spaced  out ", "?", "A. B. C. D.", "word " * 40, "\n\n"]
LITERALS = ["Query: ", 'It says: "', '" in one word:"', "\n", " ", "", "\u00fcber ", "a"]
LAYERS = (-1, -1, -2, 0, 3, 5, 0.5, 0.84, -7)


def asks(*wordings: str, tokens: Any = "pieces", **reading: Any) -> Prompt:  # noqa: ANN401
    templates = tuple(Template(wording, tokens=tokens) for wording in wordings)
    return Prompt(
        "asks", (PromptVariant("own", templates, templates),), ReadoutRules(**reading, sparse=None)
    )


BOTH_WAYS = {"attention": "bidirectional", "span": "text"}
WAYS = {
    "mean, both ways": asks("Text: {text} .", pool="mean", **BOTH_WAYS),
    "mean of the prompt": asks("Text: {text} .", span="prompt", pool="mean"),
    "last, both ways, inside": asks("Text: {text} .", layer=3, **BOTH_WAYS),
    "largest, both ways": asks("Text: {text} .", pool="max", **BOTH_WAYS),
    "largest": asks("Text: {text} .", span="text", pool="max"),
    "largest of the copy": asks("{text}\nAgain: {text}", span="copy", pool="max"),
    "several endings": asks('It says: "{text}" or', 'It says: "{text}" in one word:"'),
    "several endings, inside": asks("It says: {text} or", "It says: {text} and so", layer=3),
    "reversed": asks("{text} in reverse: {reversed}", span="copy", pool="mean"),
}


@pytest.fixture(scope="module", params=SHAPES)
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return Pair.load(save_shape(request.param, tmp_path_factory.mktemp(request.param)))


@pytest.mark.parametrize("name", WAYS)
def test_states_are_those_of_the_slow_reference(pair: Pair, name: str) -> None:
    encoder = pair.encoder(WAYS[name])
    got = encoder.states(TEXTS, Role.QUERY)
    assert far(got, pair.wanted(encoder, TEXTS, Role.QUERY)) <= TOLERANCE
    assert far(encoder.states(TEXTS[1:2], Role.QUERY), got[1:2]) <= TOLERANCE


def test_any_prompt_that_is_taken_is_read(pair: Pair) -> None:
    draw, drawn = random.Random(pair.model.config.model_type), 0
    square = pair.backbone.model.get_output_embeddings().weight.shape[1] == 32
    while drawn < MANY:
        try:
            prompt = random_prompt(draw)
        except ValueError:  # rules that contradict each other
            continue
        if prompt.filter is not None and not square:
            continue
        drawn += 1
        encoder, texts = pair.encoder(prompt), draw.sample(MORE_TEXTS, 3)
        got = encoder.states(texts, Role.QUERY)
        assert far(got, pair.wanted(encoder, texts, Role.QUERY)) <= TOLERANCE, (prompt, texts)
        assert far(encoder.states(texts[:1], Role.QUERY), got[:1]) <= TOLERANCE, (prompt, texts)
        assert np.isfinite(got).all()


def random_prompt(draw: random.Random) -> Prompt:
    tokens = draw.choice(["pieces", "whole"])
    fed = draw.random() < 0.35
    wordings = [random_wording(draw, tokens, fed) for _ in range(draw.choice([1, 1, 2, 3]))]
    if draw.random() < 0.15:
        wordings = ["Q: {text} one", "Q: {text} two words:"]
    templates = tuple(Template(wording, tokens=tokens) for wording in wordings)  # type: ignore[arg-type]
    other = Template(
        'What does not matter of : "{text}" is :"', tokens=draw.choice(["pieces", "whole"])
    )
    contrast = ContrastRules(other, draw.choice([0, 2, 5, 0.125]), 1.5, draw.random() < 0.3)
    reading = ReadoutRules(
        span=draw.choice(["prompt", "text", "copy"]),
        pool=draw.choice(["last", "mean", "max"]),
        layer=draw.choice(LAYERS),
        attention=draw.choice(["causal", "causal", "bidirectional"]),
        sparse=None,
    )
    return Prompt(
        "drawn",
        (PromptVariant("own", templates, templates),),
        reading,
        text_rules=draw.choice(["", "sts"]),
        prepend=PrependingRules(draw.choice([0, 1, 2]), draw.choice([3, 6, 0.22])) if fed else None,
        contrast=contrast if draw.random() < 0.25 else None,
        filter=FilterRules(0.1, 0.5) if draw.random() < 0.15 else None,
    )


def random_wording(draw: random.Random, tokens: str, fed: bool) -> str:
    slots = draw.choice([["{text}"], ["{text}"], ["{text}", "{text}"], ["{reversed}"]])
    if fed and tokens == "pieces" and draw.random() < 0.4:
        slots = draw.choice([["{sentences}"], ["{front}", "{sentences}"]])
    parts = ["{bos}"] if draw.random() < 0.2 else []
    for slot in slots:
        placeholder = "{placeholder}" if fed and draw.random() < 0.7 else ""
        parts += [draw.choice(LITERALS), placeholder, draw.choice(["", " "]), slot]
    return "".join([*parts, draw.choice([*LITERALS, "{eos}", " {eos}"])])
