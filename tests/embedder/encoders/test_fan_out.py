"""Wordings that differ after the text only: read together they give what each gives alone."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from embedder.encoders.llm import LLMEncoder
from embedder.models.loading import LLMOptions, load_backbone
from embedder.prompts.prompt import Prompt
from embedder.prompts.readout_rules import ReadoutRules, SparseRules
from embedder.prompts.template import PromptVariant, Template
from embedder.types import Role
from tests.models import LINES
from tests.shapes import DEPTH, save_shape

TEXTS = [*LINES, "", "magma", "lava flows", " ".join(LINES)]
ENDINGS = [" in one word:", " means", ' . The word is "', " is about the thing called"]
SHAPES = ("llama", "mistral", "gemma2", "opt", "gpt2", "gpt-neox")


def prompt_of(endings: list[str], reading: ReadoutRules) -> Prompt:
    templates = tuple(Template("Here: {text}" + ending) for ending in endings)
    return Prompt("endings", (PromptVariant("plain", templates, templates),), reading)


def encoders(folder: Path, reading: ReadoutRules) -> tuple[LLMEncoder, list[LLMEncoder]]:
    backbone, options = load_backbone(folder, LLMOptions(dtype="float32"))
    together = LLMEncoder(backbone, prompt_of(ENDINGS, reading), options)
    alone = [LLMEncoder(backbone, prompt_of([one], reading), options) for one in ENDINGS]
    return together, alone


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("layer", [-1, 3])
def test_states_of_each_wording_are_its_own(tmp_path: Path, shape: str, layer: int) -> None:
    together, alone = encoders(save_shape(shape, tmp_path), ReadoutRules(layer=layer, sparse=None))
    got = together.states_each(TEXTS, Role.QUERY)
    assert got.shape[:2] == (len(ENDINGS), len(TEXTS))
    for mine, one in zip(got, alone, strict=True):
        want = one.states(TEXTS, Role.QUERY)
        assert (np.abs(mine - want).max(axis=1) <= 1e-5 * np.abs(want).max(axis=1)).all()


@pytest.mark.parametrize("shape", SHAPES)
def test_logits_are_averaged(tmp_path: Path, shape: str) -> None:
    rules = ReadoutRules(sparse=SparseRules(top=5))
    together, alone = encoders(save_shape(shape, tmp_path), rules)
    for text in TEXTS:
        fed = together.reader.feed([text], Role.QUERY, 100)
        mean = together.reader.read(fed, Role.QUERY).logits
        apart = [
            one.reader.read(one.reader.feed([text], Role.QUERY, 100), Role.QUERY).logits
            for one in alone
        ]
        want = torch.stack([one for one in apart if one is not None]).mean(0)
        assert mean is not None
        assert float((mean - want).abs().max()) <= 1e-5 * float(want.abs().max())
    rows = together.encode(TEXTS, Role.QUERY)
    assert rows.sparse is not None and rows.sparse.shape[0] == len(TEXTS)


def test_wordings_that_hold_the_text_twice_are_read_with_both(tmp_path: Path) -> None:
    """The head once ended at the first text, and what stood between it and the ending was lost."""
    backbone, options = load_backbone(save_shape("llama", tmp_path), LLMOptions(dtype="float32"))
    templates = tuple(Template("{text} again: {text}" + ending) for ending in ENDINGS)
    prompts = [
        Prompt("twice", (PromptVariant("plain", some, some),), ReadoutRules(sparse=None))
        for some in (templates, *((one,) for one in templates))
    ]
    together, *alone = [LLMEncoder(backbone, one, options) for one in prompts]
    got = together.states_each(TEXTS, Role.QUERY)
    for mine, one in zip(got, alone, strict=True):
        want = one.states(TEXTS, Role.QUERY)
        assert (np.abs(mine - want).max(axis=1) <= 1e-5 * np.abs(want).max(axis=1)).all()


def test_rows_that_lost_a_text_have_another_fingerprint(tmp_path: Path) -> None:
    """Otherwise an index of rows without the second text would pass for one of rows with it."""
    backbone, options = load_backbone(save_shape("llama", tmp_path), LLMOptions(dtype="float32"))

    def facts(query: tuple[str, ...], reading: ReadoutRules) -> dict[str, Any]:
        queries = tuple(Template(text) for text in query)
        once = (Template("{text}:"), Template("{text} means"))
        prompt = Prompt("some", (PromptVariant("plain", queries, once),), reading)
        found: dict[str, Any] = json.loads(LLMEncoder(backbone, prompt, options).fingerprint)
        return {fact: value for fact, value in found.items() if fact.endswith("_text_read")}

    twice = ("{text} again: {text}:", "{text} again: {text} means")
    last, mean = ReadoutRules(sparse=None), ReadoutRules(sparse=None, span="text", pool="mean")
    assert facts(twice, last) == {"query_text_read": "every time"}
    assert facts(("{text}:", "{text} means"), last) == {}
    assert facts(twice[:1], last) == {}
    assert facts((twice[0], "{text} means"), last) == {}
    assert facts(twice, mean) == {}


def test_the_text_goes_through_the_blocks_once(tmp_path: Path) -> None:
    together, _ = encoders(save_shape("llama", tmp_path), ReadoutRules(sparse=None))
    together.encode(["warm the prefix"], Role.QUERY)
    entered: list[int] = []
    together.backbone.layers[DEPTH - 1].register_forward_pre_hook(
        lambda _, args, kwargs: entered.append(
            (args[0] if args else kwargs["hidden_states"]).shape[:2].numel()
        ),
        with_kwargs=True,
    )
    text = "lava flows down and cools"
    together.encode([text], Role.QUERY)
    row = together.fed(text, Role.QUERY).wordings[0]
    frames = together.reader.frames[Role.QUERY]
    longest = max(len(frame.ending) for frame in frames)
    assert entered == [
        len(row.text_spans[0][0]),
        len(frames) * longest,
    ]  # endings padded to one length
